"""The parts of a panel: curves, bands, ground truth, limits. Values are shown times a scale, 100 for percent."""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from al_runner.analysis.draw.frame import log_limits
from al_runner.analysis.draw.look import Look
from al_runner.analysis.draw.style import TRUTH, Pen
from al_runner.analysis.stats.curves import Curve
from al_runner.analysis.table.display import PAPERS

PUBLISHED_MARKERS = ("*", "8", "H", "D", "s")  # hollow and large, so no curve has such markers
MOST_BANDS = 6  # curves of a panel that have bands; with more curves the bands would cover each other


def has_bands(drawn: Sequence[Curve]) -> bool:
    """Whether a panel has few enough curves to show their intervals, or their seeds."""
    return sum(not curve.truth for curve in drawn) <= MOST_BANDS


def seeds_note(drawn: Sequence[Curve], look: Look, bands: bool) -> str:
    """How many seeds are drawn, and how, and what the bands are, if there are any."""
    counts = sorted({curve.seeds for curve in drawn if not curve.truth})
    if counts[-1] == 1:
        return "one seed"
    of = f"{look.spread.centre} of {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    bars, lines = ("bars", "small dots") if _single(drawn) else ("bands", "thin lines")
    kinds = {"t": f"{bars}: 95% t interval", "bootstrap": f"{bars}: 95% bootstrap interval", "seeds": f"{lines}: seeds"}
    return f"{of}, {kinds[look.spread.interval]}" if bands else of


def _single(drawn: Sequence[Curve]) -> bool:
    """Whether no curve has a second round."""
    return all(len(curve.centre) == 1 for curve in drawn if not curve.truth)


def label_of(curve: Curve, drawn: Sequence[Curve], look: Look) -> str:
    """A curve's name, with its number of seeds if the curves have different numbers."""
    counted = len({other.seeds for other in drawn}) > 1
    return f"{look.names(curve.name)}{f' (n = {curve.seeds})' if counted else ''}"


def draw_lines(
    axes: Axes,
    drawn: Sequence[Curve],
    pens: Mapping[str, Pen],
    span: tuple[int, int],
    look: Look,
    scale: float,
    bands: bool = True,
) -> None:
    """Draw every curve's centre times `scale`. With `bands`, also its interval, or its seeds if it has no interval.

    Seeds are thin lines. `draw_truths` draws ground truth. More than MOST_BANDS curves have neither bands nor seeds.
    """
    lines = [curve for curve in drawn if not curve.truth]
    for place, curve in enumerate(lines):
        pen = pens[curve.name]
        if bands and has_bands(drawn):
            _spread(axes, curve, pen, scale)
        axes.plot(
            curve.labelled,
            scale * curve.centre,
            label=label_of(curve, drawn, look),
            color=pen.colour,
            linestyle=pen.dashes,
            marker=pen.marker if len(curve.centre) > 1 else "o",
            markersize=4.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            markevery=_sparse(curve, *span, place / len(lines)),
        )


def _spread(axes: Axes, curve: Curve, pen: Pen, scale: float) -> None:
    single = len(curve.centre) == 1  # round; a band or a line of it has no width
    if np.isfinite(curve.low).any():
        ends = scale * curve.low, scale * curve.high
        if single:
            axes.vlines(curve.labelled, *ends, color=pen.colour, alpha=0.45)
        else:
            axes.fill_between(curve.labelled, *ends, color=pen.colour, alpha=0.13, linewidth=0)
    elif curve.seeds > 1:
        line = ".-" if single else "-"
        for seed in curve.each.T:
            axes.plot(curve.labelled, scale * seed, line, color=pen.colour, linewidth=0.5, alpha=0.45, zorder=1.5)


def _sparse(curve: Curve, low: int, high: int, shift: float) -> list[int]:
    """Indices of up to six rounds in the panel, shifted so that markers of different curves don't overlap."""
    inside = np.flatnonzero((curve.labelled >= low) & (curve.labelled <= high))
    if len(inside) <= 6:
        return [int(i) for i in inside]
    places = (np.arange(6) + 0.1 + 0.8 * shift) / 6 * (len(inside) - 1)
    return [int(inside[round(place)]) for place in places]


def draw_truths(axes: Axes, drawn: Sequence[Curve], look: Look) -> None:
    """Draw ground truth, the result of training on all labels, as lines."""
    truths, scale = [curve for curve in drawn if curve.truth], look.metric.scale
    for curve, dashes in zip(truths, islice(cycle(((0, (4, 3)), (0, (1, 2)))), len(truths)), strict=True):
        if np.isfinite(curve.low[-1]):
            axes.axhspan(scale * curve.low[-1], scale * curve.high[-1], color=TRUTH, alpha=0.12, linewidth=0)
        label = label_of(curve, drawn, look)
        axes.axhline(scale * curve.centre[-1], color=TRUTH, linestyle=dashes, linewidth=1, label=label)


def draw_published(axes: Axes, points: pd.DataFrame, pens: Mapping[str, Pen], accuracy: bool) -> None:
    """Draw published results as markers: the colour shows the curve, and the shape the paper.

    The y axis grows until it shows all that lie between the ends of the x axis.
    """
    points = points.assign(value=100 * (1 - points["test_error"] if accuracy else points["test_error"]))
    values = points["value"][points["labelled"].between(*axes.get_xlim())]
    if len(values):
        low, high = axes.get_ylim()
        least, most, room = float(values.min()), float(values.max()), 0.05 * (high - low)
        ends = (least / 1.05, 1.05 * most) if axes.get_yscale() == "log" else (least - room, most + room)
        axes.set_ylim(min(low, ends[0]), max(high, ends[1]))
    for paper, shape in zip(points["paper"].unique(), cycle(PUBLISHED_MARKERS), strict=False):
        for curve, own in points[points["paper"] == paper].groupby("curve", sort=True):
            colour = pens[str(curve)].colour
            axes.plot(
                own["labelled"], own["value"], shape, markersize=8, markerfacecolor="none", markeredgecolor=colour
            )


def published_handles(points: pd.DataFrame) -> list[Line2D]:
    """Legend entries of `draw_published`, one for each paper."""
    return [
        Line2D(
            [], [], ls="", marker=shape, ms=8, markerfacecolor="none", color=TRUTH, label=f"{PAPERS[paper]}, published"
        )
        for paper, shape in zip(points["paper"].unique(), cycle(PUBLISHED_MARKERS), strict=False)
    ]


def limit(
    axes: Axes,
    drawn: Sequence[Curve],
    span: tuple[int, int],
    log: bool,
    bounds: tuple[float, float],
    scale: float,
) -> None:
    """Fit the axes to the curves' centres, and to their bands if the centres stay readable.

    A linear axis does not go beyond `bounds`, between which all possible values lie.
    """
    low, high = span
    margin = 0.03 * (high - low) or 1
    axes.set_xlim(low - margin, high + margin)
    centre, below, above = (scale * part for part in _inside(drawn, low, high))
    bottom, top = float(centre.min()), float(centre.max())
    room = max(top - bottom, 0.02 * abs(top), 1e-4 * scale)
    beyond = np.inf if _single(drawn) else room / 2  # the bars of a single round are shown whole
    around = 0.05 * room if top > bottom else 0.01 * scale  # a constant curve has one point above and below
    lowest = max(float(below.min()), bottom - beyond)
    highest = min(float(above.max()), top + beyond)
    if log:
        log_limits(axes, max(lowest, float(centre[centre > 0].min(initial=top)) / 2), highest)
    else:
        axes.set_ylim(max(bounds[0], lowest - around), min(bounds[1], highest + around))


def _inside(drawn: Sequence[Curve], low: int, high: int) -> list[NDArray[np.float64]]:
    """Centres and interval ends of the curves between two label counts; without an interval, the seeds' extremes."""
    parts: list[list[NDArray[np.float64]]] = [[], [], []]
    for curve in drawn:
        keep = slice(None) if curve.truth else (curve.labelled >= low) & (curve.labelled <= high)
        extremes = (curve.low, curve.each.min(axis=1)), (curve.high, curve.each.max(axis=1))
        ends = [np.where(np.isnan(end), extreme, end) for end, extreme in extremes]
        for part, values in zip(parts, (curve.centre, *ends), strict=True):
            part.append(values[keep])
    return [np.concatenate(part) for part in parts]
