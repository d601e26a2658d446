"""The charts of the page: what each shows, and the numbers from which the page's script draws it."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from al_runner.analysis.draw.style import DASHES, Pen
from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.curves import Curve, Spread, curves, difference_curves
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.metrics import BEST, ERROR, LOSS, Metric

PERCENT, SECONDS = "%", "s"
STROKES = dict(zip(DASHES, ("", "7 1.2", "7 1 1.2 1", "1.5 0.8"), strict=True))  # for SVG


class View(NamedTuple):
    """One way to look at a chart."""

    name: str
    unit: str
    lines: Sequence[Curve]
    truths: Sequence[Curve] = ()
    scale: float = 100.0
    zero: bool = False  # a line at 0: these are differences
    log: bool = False  # begin with a logarithmic axis
    band: bool = True
    note: str = ""


def error_views(case: Case, runs: pd.DataFrame, names: Names) -> list[View]:
    """Views of the error, of its difference to the baseline, and of the lowest error so far: means with t intervals."""
    metric = case.metric
    truths = curves(case.truth, LOSS) if len(case.truth) else []
    views = [
        error_view(metric.axis, curves(runs, LOSS), truths, metric=metric),
        View(
            f"difference to {names(case.baseline)}",
            "points" if metric.share else "",
            difference_curves(runs, case.baseline, LOSS),
            scale=metric.scale,
            zero=True,
            note="Paired by seed; below 0 is better.",
        ),
        error_view(
            "lowest so far",
            curves(runs, BEST),
            truths,
            note=f"The lowest {metric.axis} so far. It is chosen by that, so it is lower than what you would get.",
            metric=metric,
        ),
    ]
    if runs["val_error"].notna().all():
        views.append(error_view("validation error", curves(runs, "val_error")))
    return [view for view in views if view.lines]


def error_view(
    name: str, lines: Sequence[Curve], truths: Sequence[Curve] = (), note: str = "", metric: Metric = ERROR
) -> View:
    """A view of errors. Its axis is logarithmic at first, unless a curve reaches 0, which such an axis can't show."""
    log = all(curve.centre.min() > 0 for curve in lines)
    unit = PERCENT if metric.share else ""
    return View(name, unit, lines, truths, metric.scale, log=log, note=note)


def bought_views(measured: pd.DataFrame) -> list[View]:
    """Views of class balance, redundancy and surprise of the purchases."""
    notes = {
        "balance": ("class balance", "Entropy of the labels bought so far; 1: all classes are equally frequent.", ""),
        "distance": (
            "distance to the nearest",
            "Root-mean-square distance of a query's images to the nearest labelled image, both shrunk to 8 x 8 pixels; "
            "low: the query was redundant.",
            "grey levels",
        ),
        "wrong": ("surprise", "Share of a query's images that the model predicted wrongly before.", PERCENT),
    }
    views = []
    for column, (name, note, unit) in notes.items():
        if column in measured and measured[column].notna().any():
            lines = curves(measured.dropna(subset=[column]), column)
            views.append(View(name, unit, lines, scale=100.0 if unit == PERCENT else 1.0, note=note))
    return [view for view in views if view.lines]


def time_views(runs: pd.DataFrame) -> list[View]:
    """Views of the seconds that a round takes, medians over seeds."""
    once = Spread("median", "seeds")
    chosen = runs[runs["round"] > 0]
    views = [
        View(name, SECONDS, curves(part, column, once), scale=1.0, log=True, band=False, note="Median over seeds.")
        for name, part, column in (("training", runs, "fit_seconds"), ("choosing", chosen, "select_seconds"))
    ]
    return [view for view in views if view.lines]


def view_data(view: View, pen: Mapping[str, Pen], names: Names) -> dict[str, Any]:
    """A view in the form that the page's script draws."""
    lines = [
        {
            "name": line.name,
            "label": names(line.name),
            "seeds": line.seeds,
            "colour": pen[line.name].colour,
            "dash": STROKES[pen[line.name].dashes],
            "marker": pen[line.name].marker,
            "x": line.labelled.tolist(),
            "y": _numbers(view.scale * line.centre),
            "low": _numbers(view.scale * line.low) if view.band else [],
            "high": _numbers(view.scale * line.high) if view.band else [],
        }
        for line in view.lines
    ]
    truths = [
        {
            "name": truth.name,
            "label": names(truth.name),
            "seeds": truth.seeds,
            "dash": dash,
            "y": _numbers(view.scale * truth.centre)[-1],
            "low": _numbers(view.scale * truth.low)[-1],
            "high": _numbers(view.scale * truth.high)[-1],
        }
        for truth, dash in zip(view.truths, cycle(("4 3", "1 2")), strict=False)
    ]
    facts = {name: getattr(view, name) for name in ("name", "unit", "zero", "log", "note")}
    return {**facts, "lines": lines, "truths": truths}


def _numbers(values: Any) -> list[float | None]:
    """The numbers with five digits; None for NaN, which JSON does not know."""
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in values]
