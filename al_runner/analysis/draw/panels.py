"""The parts that figures are made of: curves, bands, ground truth, limits, legend. Values are in percent by default."""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from al_runner.analysis.draw.style import TRUTH, Pen
from al_runner.analysis.stats.curves import Curve
from al_runner.analysis.table.names import truth_label

PUBLISHED_MARKERS = ("*", "p", "h", "8", "d")


def draw_lines(
    axes: Axes,
    lines: Sequence[Curve],
    pens: Mapping[str, Pen],
    span: tuple[int, int],
    scale: float = 100.0,
    bands: bool = True,
) -> None:
    """Every curve's centre times `scale`; with `bands`, its interval, or where it has none, its seeds as thin lines."""
    for place, curve in enumerate(lines):
        pen = pens[curve.name]
        centre, low, high = (scale * part for part in (curve.centre, curve.low, curve.high))
        if bands and np.isfinite(low).any():
            alpha = min(0.15, 0.6 / len(lines))
            axes.fill_between(curve.labelled, low, high, color=pen.colour, alpha=alpha, linewidth=0)
        elif bands and curve.seeds > 1:
            for seed in curve.each.T:
                axes.plot(curve.labelled, scale * seed, color=pen.colour, linewidth=0.5, alpha=0.45, zorder=1.5)
        axes.plot(
            curve.labelled,
            centre,
            label=f"{curve.name} (n = {curve.seeds})",
            color=pen.colour,
            linestyle=pen.dashes,
            marker=pen.marker if len(centre) > 1 else "o",
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            markevery=_sparse(curve, *span, place / len(lines)),
        )


def _sparse(curve: Curve, low: int, high: int, shift: float) -> list[int]:
    """Indices of up to six rounds in the panel, shifted so that curves don't put their markers in one place."""
    inside = np.flatnonzero((curve.labelled >= low) & (curve.labelled <= high))
    if len(inside) <= 6:
        return [int(i) for i in inside]
    places = (np.arange(6) + 0.1 + 0.8 * shift) / 6 * (len(inside) - 1)
    return [int(inside[round(place)]) for place in places]


def draw_truths(axes: Axes, truths: Sequence[Curve]) -> None:
    """Ground truth: what training on every label gives."""
    for curve, dashes in zip(truths, islice(cycle(((0, (4, 3)), (0, (1, 2)))), len(truths)), strict=True):
        label = f"{truth_label(curve.name)} (n = {curve.seeds})"
        if np.isfinite(curve.low[-1]):
            axes.axhspan(100 * curve.low[-1], 100 * curve.high[-1], color=TRUTH, alpha=0.12, linewidth=0)
        axes.axhline(100 * curve.centre[-1], color=TRUTH, linestyle=dashes, linewidth=1, label=label)


def draw_published(axes: Axes, points: pd.DataFrame, pens: Mapping[str, Pen], accuracy: bool) -> None:
    """Published results, as markers in their strategy's colour, a shape a paper."""
    for (_, paper), shape in zip(enumerate(points["paper"].unique()), cycle(PUBLISHED_MARKERS), strict=False):
        for strategy, own in points[points["paper"] == paper].groupby("strategy", sort=True):
            value = 100 * (1 - own["test_error"] if accuracy else own["test_error"])
            colour = pens[str(strategy)].colour
            axes.plot(own["labelled"], value, shape, markersize=8, markerfacecolor="none", markeredgecolor=colour)


def published_handles(points: pd.DataFrame) -> list[Line2D]:
    """Legend entries of `draw_published`, one a paper."""
    return [
        Line2D([], [], ls="", marker=shape, ms=8, markerfacecolor="none", color=TRUTH, label=f"{paper}, published")
        for paper, shape in zip(points["paper"].unique(), cycle(PUBLISHED_MARKERS), strict=False)
    ]


def dress(axes: Axes, log: bool = False) -> None:
    """Grid and ticks."""
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if log:
        axes.set_yscale("log", nonpositive="clip")


def limit(axes: Axes, found: Sequence[Curve], span: tuple[int, int], log: bool, floor: float | None = 0.0) -> None:
    """Fit the panel to its centres, and to their bands as far as these leave the centres readable."""
    low, high = span
    margin = 0.03 * (high - low) or 1
    axes.set_xlim(low - margin, high + margin)
    centre, below, above = (100 * part for part in _inside(found, low, high))
    bottom, top = float(centre.min()), float(centre.max())
    room = max(top - bottom, 0.02 * abs(top), 0.01)  # a single or constant curve still wants some height
    lowest = max(float(below.min()), bottom - room / 2)
    highest = min(float(above.max()), top + room / 2)
    if log:
        log_limits(axes, max(lowest, float(centre[centre > 0].min(initial=top)) / 2), highest)
    else:
        least = lowest - 0.05 * room
        axes.set_ylim(least if floor is None else max(floor, least), highest + 0.05 * room)


def log_limits(axes: Axes, lowest: float, highest: float) -> None:
    """A logarithmic axis from and to these values, with ticks to read."""
    low = lowest if lowest > 0 else 1.0
    limits = low / 1.05, max(highest, low) * 1.05
    axes.set_ylim(limits)
    narrow = limits[1] < 5 * limits[0]  # 1, 2 and 5 might all lie outside
    axes.yaxis.set_major_locator(MaxNLocator(5) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _inside(found: Sequence[Curve], low: int, high: int) -> list[NDArray[np.float64]]:
    """Centres and ends of the intervals, or extremes of the seeds, of what is drawn between the label counts."""
    parts: list[list[NDArray[np.float64]]] = [[], [], []]
    for curve in found:
        keep = slice(None) if curve.truth else (curve.labelled >= low) & (curve.labelled <= high)
        extremes = (curve.low, curve.each.min(axis=1)), (curve.high, curve.each.max(axis=1))
        ends = [np.where(np.isnan(end), extreme, end) for end, extreme in extremes]
        for part, values in zip(parts, (curve.centre, *ends), strict=True):
            part.append(values[keep])
    return [np.concatenate(part) for part in parts]


def legend(figure: Figure, all_axes: Sequence[Axes], more: Sequence[Line2D] = (), counts: bool = True) -> None:
    """Below the panels, where it can't cover a curve: every label once, ground truth and published results last.

    Without `counts` of seeds, which may differ from panel to panel.
    """
    held: dict[str, Any] = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            held.setdefault(label.rpartition(" (n = ")[0] if not counts else label, handle)
    held = dict(sorted(held.items(), key=lambda item: item[0].startswith("full training set")))
    held |= {str(handle.get_label()): handle for handle in more}
    for columns in range(min(3, len(held)), 0, -1):  # the most that the figure is wide enough for
        box = figure.legend(held.values(), held.keys(), loc="outside lower center", ncols=columns, handlelength=3.2)
        if columns == 1 or box.get_window_extent().width <= figure.bbox.width:
            break
        box.remove()
