"""The figures, each a function of the tidy table (`load`). Everything in a figure comes from results.csv."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from math import inf

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from al_runner.analysis.draw.frame import canvas, dress, finish, log_limits
from al_runner.analysis.draw.look import NARROW, Look, in_order
from al_runner.analysis.draw.panels import (
    draw_lines,
    draw_published,
    draw_truths,
    has_bands,
    limit,
    published_handles,
    seeds_note,
)
from al_runner.analysis.draw.split import automatic_split
from al_runner.analysis.draw.style import Pen, Picture, pens, sheet
from al_runner.analysis.stats.curves import Curve, Spread, curves, difference_curves
from al_runner.analysis.table.metrics import measured_by
from al_runner.analysis.table.names import all_truth, is_truth, require_curve
from al_runner.analysis.table.published import matching
from al_runner.analysis.table.rows import BASELINE
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION


def learning_curves(runs: pd.DataFrame, look: Look | None = None) -> Picture:
    """Every strategy of one combination against labelled images, by `look.metric`, with its interval over seeds.

    The left panel shows early rounds, and the right one later rounds on another scale. With few rounds or little width
    there is one panel. Raises UsageError if there is no curve, if `look.split` leaves a panel empty, or if a run
    lacks the metric.
    """
    look = look or Look()
    drawn = _curves(runs, look)
    pen, points = _pens(drawn), _points(runs, drawn, look)
    with sheet():
        figure, panels, spans = _panels(drawn, look)
        for axes, span in zip(panels, spans, strict=True):
            _draw(axes, drawn, pen, span, look)
            draw_published(axes, points, pen, look.accuracy)
        panels[0].set_ylabel(look.axis)
        note = seeds_note(drawn, look, has_bands(drawn))
        return finish(figure, panels, look, note, published_handles(points))


def facets(frame: pd.DataFrame, by: Sequence[str], look: Look | None = None) -> Picture:
    """A panel for every value of the columns `by` (of COMBINATION), with the same pens in all panels.

    Each panel shows whole curves on its own scale. Raises UsageError if the runs differ in more columns than `by`, or
    if there is no curve.
    """
    look = look or Look()
    rest = [key for key in COMBINATION if key not in by and frame[key].nunique() > 1]
    if rest:
        raise UsageError(f"the runs differ in {', '.join(rest)} too; add it to --facet, or draw each by itself")
    require_curve(frame, "draw")
    parts = {key: part for key, part in frame.groupby(list(by), sort=True) if not all_truth(part)}
    by_panel = {key: _curves(part, replace(look, order=())) for key, part in parts.items()}
    everything = [curve for part in by_panel.values() for curve in part]
    columns = min(3 if look.width >= NARROW else 2, len(by_panel))
    with sheet():
        figure, panels = canvas(look, -(-len(by_panel) // columns), columns)
        for place, (axes, (key, own)) in enumerate(zip(panels, by_panel.items(), strict=False)):
            _draw(axes, own, _pens(everything), _span(own), look)
            axes.set_title(_heading(by, key, look), color="#333333")
            if place < len(by_panel) - columns:
                axes.set_xlabel("")
            if place % columns == 0:
                axes.set_ylabel(look.axis)
        for axes in panels[len(by_panel) :]:
            axes.set_visible(False)
        note = seeds_note(everything, look, any(map(has_bands, by_panel.values())))
        return finish(figure, panels[: len(by_panel)], look, note)


def differences(runs: pd.DataFrame, look: Look | None = None, baseline: str = BASELINE) -> Picture:
    """Every strategy minus the baseline by `look.metric`, paired by seed, with the interval of the differences.

    Below the line is better. Raises UsageError if no curve shares a seed and a label count with the baseline.
    """
    look = replace(look or Look(), log=False)
    measured = measured_by(runs, look.metric)
    drawn = _ordered(difference_curves(measured, baseline, look.column, look.spread), look)
    if not drawn:
        raise UsageError(f"no difference to draw: nothing shares a seed and a label count with {baseline}; run both")
    pen = _pens(drawn)
    with sheet():
        figure, panels, spans = _panels(drawn, look)
        for axes, span in zip(panels, spans, strict=True):
            axes.axhline(0, color="#000000", linewidth=1.2)
            draw_lines(axes, drawn, pen, span, look, look.metric.scale)
            dress(axes, drawn, span)
            limit(axes, drawn, span, log=False, bounds=(-inf, inf), scale=look.metric.scale)
            axes.set_ylim(min(axes.get_ylim()[0], 0), max(axes.get_ylim()[1], 0))
        so_far = "lowest so far, " if look.best else ""
        name, points = look.names(baseline), " (points)" if look.metric.share else ""
        panels[0].set_ylabel(f"{look.metric.axis} minus {name}'s{points}\n{so_far}paired by seed; below 0 is better")
        return finish(figure, panels, look, seeds_note(drawn, look, has_bands(drawn)))


def times(runs: pd.DataFrame, look: Look | None = None) -> Picture:
    """Seconds per round for training and for choosing the query, on a logarithmic axis, against labelled images.

    They are medians over the seeds, because seeds may have run on machines with different loads.
    """
    look = replace(look or Look(), spread=Spread("median", "seeds"))
    of_curves = runs[~is_truth(runs)]
    columns = (("fit_seconds", "training, seconds a round"), ("select_seconds", "choosing, seconds a round"))
    with sheet():
        figure, panels = canvas(look, *((1, 2) if look.width >= NARROW else (2, 1)))
        everything: list[Curve] = []
        for axes, (column, label) in zip(panels, columns, strict=True):
            timed = of_curves[of_curves["round"] > 0] if column == "select_seconds" else of_curves
            drawn = _ordered(curves(timed, column, look.spread), replace(look, order=()))
            if drawn:
                everything += drawn
                draw_lines(axes, drawn, _pens(drawn), _span(drawn), look, scale=1.0, bands=False)
                dress(axes, drawn, _span(drawn), log=True)
                seconds = np.concatenate([curve.centre[curve.centre > 0] for curve in drawn])
                if len(seconds):
                    log_limits(axes, float(seconds.min()) / 1.3, float(seconds.max()) * 1.3)
            axes.set_ylabel(label)
        return finish(figure, panels, look, seeds_note(everything, look, bands=False))


def _heading(by: Sequence[str], key: Sequence[Hashable], look: Look) -> str:
    """A panel's title: its values of `by`, with the shown names of data set and net."""
    named = zip(by, map(str, key), strict=True)
    return ", ".join(look.names(value) if part in ("dataset", "model") else value for part, value in named)


def _curves(runs: pd.DataFrame, look: Look) -> list[Curve]:
    """The curves of one combination, in their order. Raises UsageError if there is only ground truth."""
    require_curve(runs, "draw")
    spread = replace(look.spread, log=look.log)
    return _ordered(curves(measured_by(runs, look.metric), look.column, spread), look)


def _ordered(drawn: Iterable[Curve], look: Look) -> list[Curve]:
    by_name = {curve.name: curve for curve in drawn}
    return [by_name[name] for name in in_order(by_name, look.order)]


def _pens(drawn: Sequence[Curve]) -> dict[str, Pen]:
    return pens(curve.name for curve in drawn if not curve.truth)


def _draw(axes: Axes, drawn: Sequence[Curve], pen: dict[str, Pen], span: tuple[int, int], look: Look) -> None:
    """Draw a panel of errors or accuracies, without the label of its y axis."""
    shown = [curve.flipped() for curve in drawn] if look.accuracy else list(drawn)
    draw_truths(axes, shown, look)
    draw_lines(axes, shown, pen, span, look, look.metric.scale)
    dress(axes, [curve for curve in shown if not curve.truth], span, look.log)
    limit(axes, shown, span, look.log, look.metric.bounds, look.metric.scale)


def _points(runs: pd.DataFrame, drawn: Sequence[Curve], look: Look) -> pd.DataFrame:
    """The published results to overlay; none if `look.published` is None."""
    wanted = () if look.published is None else [curve.name for curve in drawn if not curve.truth]
    dataset, model = map(str, runs[["dataset", "model"]].iloc[0])
    return matching(dataset, wanted, look.published or (), _span(drawn), model)


def _span(drawn: Sequence[Curve]) -> tuple[int, int]:
    """The first and the last label count."""
    lines = [curve for curve in drawn if not curve.truth]
    return min(int(c.labelled[0]) for c in lines), max(int(c.labelled[-1]) for c in lines)


def _panels(drawn: Sequence[Curve], look: Look) -> tuple[Picture, list[Axes], list[tuple[int, int]]]:
    """One panel, or two with their headings, and the first and last label count of each."""
    (low, high), split = _span(drawn), look.split
    if split is None and look.width >= NARROW:
        split = automatic_split([curve for curve in drawn if not curve.truth])
    if not split:
        return *canvas(look), [(low, high)]
    if not low < split < high:
        raise UsageError(f"--split is {split}; the curves go from {low} to {high} labels, so choose one in between")
    figure, (early, late) = canvas(look, 1, 2)
    early.set_title(f"up to {split:,} labels", color="#333333")
    late.set_title(f"from {split:,} labels (own scale)", color="#333333")
    return figure, [early, late], [(low, split), (split, high)]
