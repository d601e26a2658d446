"""The pictures, each a function of the tidy table (`load`): nothing is drawn that results.csv does not hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from al_runner.analysis.draw.panels import (
    draw_lines,
    draw_published,
    draw_truths,
    dress,
    legend,
    limit,
    log_limits,
    published_handles,
)
from al_runner.analysis.draw.split import automatic_split
from al_runner.analysis.draw.style import pens, sheet
from al_runner.analysis.stats.curves import Curve, Spread, curves, difference_curves
from al_runner.analysis.table.names import all_truth, curve_names, is_truth, require_curve
from al_runner.analysis.table.published import matching
from al_runner.analysis.table.rows import BASELINE
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION

LOWEST = "lowest test error so far{}\n(a running minimum)"
HIGHEST = "highest test accuracy so far (%)\n(a running maximum)"
LABELLED = "labelled images"
WIDTH, HEIGHT = 6.3, 3.2  # inches, a text column


@dataclass(frozen=True)
class Look:
    """How curves are drawn; UsageError where two choices don't go together."""

    best: bool = False  # the best so far, labelled as a running minimum
    accuracy: bool = False
    log: bool = False
    split: int | None = None  # label count at which the right panel begins; None: chosen
    title: str = ""
    spread: Spread = field(default_factory=Spread)
    published: tuple[str, ...] | None = None  # papers whose results are overlaid; empty: all that have any

    def __post_init__(self) -> None:
        if self.log and self.accuracy:
            raise UsageError("a logarithmic axis shows errors; leave out --accuracy or --log")

    @property
    def axis(self) -> str:
        """The y axis' label."""
        if self.best:
            return HIGHEST if self.accuracy else LOWEST.format(" (%)")
        return f"test {'accuracy' if self.accuracy else 'error'} (%)"


def learning_curves(runs: pd.DataFrame, look: Look | None = None) -> Figure:
    """Every strategy of one combination against labelled images, in percent, with its interval over seeds.

    Early rounds left, later ones right with a scale of their own; one panel where there are under six rounds.
    UsageError where there is no curve, or `look.split` leaves a panel empty.
    """
    look = look or Look()
    found = _found(runs, look)
    lines = [curve for curve in found if not curve.truth]
    spans = _spans(lines, look.split)
    pen = pens(curve.name for curve in lines)
    points = _points(runs, lines, look)
    with sheet():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        all_axes = figure.subplots(1, len(spans), squeeze=False)[0]
        for axes, span, heading in zip(all_axes, spans, _headings(spans), strict=True):
            shown = [curve.flipped() for curve in found] if look.accuracy else found
            draw_truths(axes, [curve for curve in shown if curve.truth])
            draw_lines(axes, [curve for curve in shown if not curve.truth], pen, span)
            draw_published(axes, points, pen, look.accuracy)
            dress(axes, look.log)
            limit(axes, shown, span, look.log)
            axes.set_title(heading, color="#333333")
            axes.set_xlabel(LABELLED)
        all_axes[0].set_ylabel(look.axis)
        legend(figure, all_axes, published_handles(points))
        if look.title:
            figure.suptitle(look.title, fontsize=10)
    return figure


def facets(frame: pd.DataFrame, by: Sequence[str], look: Look | None = None) -> Figure:
    """Small multiples: a panel for every value of the columns `by` (of COMBINATION), the same pens in all of them.

    The panels are whole curves, each with a scale of its own. UsageError where `frame` differs in more than `by`.
    """
    look = look or Look()
    rest = [key for key in COMBINATION if key not in by and frame[key].nunique() > 1]
    if rest:
        raise UsageError(f"the runs differ in {', '.join(rest)} too; add it to --facet, or draw each by itself")
    require_curve(frame, "draw")
    panels = {key: part for key, part in frame.groupby(list(by), sort=True) if not all_truth(part)}
    found = {key: _found(part, look) for key, part in panels.items()}
    pen = pens({curve.name for curves_ in found.values() for curve in curves_ if not curve.truth})
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with sheet():
        figure = Figure(figsize=(WIDTH, 2.3 * rows + 0.8), layout="constrained")
        all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for place, (axes, (key, curves_)) in enumerate(zip(all_axes, found.items(), strict=False)):
            shown = [curve.flipped() for curve in curves_] if look.accuracy else curves_
            lines = [curve for curve in shown if not curve.truth]
            (span,) = _spans(lines, None, whole=True)
            draw_truths(axes, [curve for curve in shown if curve.truth])
            draw_lines(axes, lines, pen, span)
            dress(axes, look.log)
            limit(axes, shown, span, look.log)
            axes.set_title(", ".join(map(str, key if isinstance(key, tuple) else (key,))), color="#333333")
            if place >= len(found) - columns:
                axes.set_xlabel(LABELLED)
            if place % columns == 0:
                axes.set_ylabel(look.axis)
        for axes in all_axes[len(found) :]:
            axes.set_visible(False)
        legend(figure, all_axes[: len(found)], counts=False)
        if look.title:
            figure.suptitle(look.title, fontsize=10)
    return figure


def differences(runs: pd.DataFrame, look: Look | None = None, baseline: str = BASELINE) -> Figure:
    """Every strategy minus the baseline in percentage points, paired by seed, with the interval of the differences.

    Below the line is better. UsageError where no curve shares a seed and a label count with the baseline.
    """
    look = look or Look()
    found = difference_curves(runs, baseline, "best_test_error" if look.best else "test_error", look.spread)
    if not found:
        raise UsageError(f"no difference to draw: nothing shares a seed and a label count with {baseline}; run both")
    spans = _spans(found, look.split)
    pen = pens(curve.name for curve in found)
    with sheet():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        all_axes = figure.subplots(1, len(spans), squeeze=False)[0]
        for axes, span, heading in zip(all_axes, spans, _headings(spans), strict=True):
            axes.axhline(0, color="#000000", linewidth=1.2)
            draw_lines(axes, found, pen, span)
            dress(axes)
            limit(axes, found, span, log=False, floor=None)
            axes.set_ylim(min(axes.get_ylim()[0], 0), max(axes.get_ylim()[1], 0))
            axes.set_title(heading, color="#333333")
            axes.set_xlabel(LABELLED)
        so_far = "lowest so far, " if look.best else ""
        all_axes[0].set_ylabel(f"test error - {baseline}'s (points)\n{so_far}paired by seed; below 0 is better")
        legend(figure, all_axes)
        if look.title:
            figure.suptitle(look.title, fontsize=10)
    return figure


def times(runs: pd.DataFrame, look: Look | None = None) -> Figure:
    """Seconds a round for training and for choosing the query, logarithmic, against labelled images.

    Medians over the seeds, which may have run on machines of different load.
    """
    look = look or Look()
    curves_ = runs[~is_truth(runs)]
    panels = (("fit_seconds", "training, seconds a round"), ("select_seconds", "choosing, seconds a round"))
    with sheet():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        all_axes = figure.subplots(1, 2)
        pen = pens(curve_names(curves_).unique())
        for axes, (column, label) in zip(all_axes, panels, strict=True):
            timed = curves_[curves_["round"] > 0] if column == "select_seconds" else curves_
            found = curves(timed, column, Spread("median", "seeds"))
            if found:
                (span,) = _spans(found, None, whole=True)
                draw_lines(axes, found, pen, span, scale=1.0, bands=False)
                dress(axes, log=True)
                seconds = np.concatenate([curve.centre[curve.centre > 0] for curve in found])
                if len(seconds):
                    log_limits(axes, float(seconds.min()) / 1.3, float(seconds.max()) * 1.3)
            axes.set(xlabel=LABELLED, ylabel=label)
        legend(figure, all_axes)
        if look.title:
            figure.suptitle(look.title, fontsize=10)
    return figure


def _found(runs: pd.DataFrame, look: Look) -> list[Curve]:
    """The curves of one combination; UsageError where there is none but ground truth."""
    require_curve(runs, "draw")
    return curves(runs, "best_test_error" if look.best else "test_error", look.spread)


def _points(runs: pd.DataFrame, lines: Sequence[Curve], look: Look) -> pd.DataFrame:
    """The published results to overlay, none unless asked for."""
    span = min(int(c.labelled[0]) for c in lines), max(int(c.labelled[-1]) for c in lines)
    wanted = () if look.published is None else [curve.name for curve in lines]
    return matching(str(runs["dataset"].iloc[0]), wanted, look.published or (), span)


def _spans(lines: Sequence[Curve], split: int | None, whole: bool = False) -> list[tuple[int, int]]:
    """Label counts from and to, of every panel."""
    low, high = min(int(c.labelled[0]) for c in lines), max(int(c.labelled[-1]) for c in lines)
    if split is not None and not low < split < high:
        raise UsageError(f"--split is {split}; the curves go from {low} to {high} labels, so choose one in between")
    at = automatic_split(lines) if split is None and not whole else split
    return [(low, high)] if at is None else [(low, at), (at, high)]


def _headings(spans: Sequence[tuple[int, int]]) -> list[str]:
    if len(spans) == 1:
        return [""]
    return [f"up to {spans[0][1]:,} labels", f"from {spans[1][0]:,} labels (own scale)"]
