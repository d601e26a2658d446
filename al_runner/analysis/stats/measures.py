"""What one run is worth: its error at a budget, the area below its curve, the labels it needs to reach an error.

A budget is a number of labels. Errors are fractions; a run's curve is straight between its label counts.
"""

from math import nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from al_runner.analysis.stats.intervals import Floats, mean_height
from al_runner.analysis.table.names import curve_names


class Budget(NamedTuple):
    """The label counts that a comparison spans."""

    start: int  # the first that every curve has
    end: int  # where the final error is taken


def budget_of(runs: pd.DataFrame, end: int | None = None) -> Budget:
    """From the latest first count of the curves to `end`, or to the most labels that any of them has."""
    spans = runs.groupby([curve_names(runs), "seed"])["labelled"].agg(["min", "max"])
    return Budget(int(spans["min"].max()), int(spans["max"].max()) if end is None else end)


def error_at(run: pd.DataFrame, labels: int) -> float:
    """A run's test error with `labels` labels; NaN before its first and after its last round."""
    return float(np.interp(labels, run["labelled"], run["test_error"], left=nan, right=nan))


def area(run: pd.DataFrame, budget: Budget) -> float:
    """Area under the budget curve per label, which is the mean error over the budget (trapezoid rule).

    NaN where the run does not span the budget.
    """
    labels, errors = _columns(run)
    if labels[0] > budget.start or labels[-1] < budget.end:
        return nan
    inside = (labels > budget.start) & (labels < budget.end)
    x = np.concatenate([[budget.start], labels[inside], [budget.end]])
    return float(mean_height(np.interp(x, labels, errors), x))


def labels_to(run: pd.DataFrame, error: float, end: int) -> float:
    """The first label count at which the run's test error is `error` or less; NaN where it is not by `end`."""
    labels, errors = _columns(run)
    reached = labels[(errors <= error) & (labels <= end)]
    return float(reached[0]) if len(reached) else nan


def measures(runs: pd.DataFrame, budget: Budget) -> pd.DataFrame:
    """One row a curve and seed of one combination: final error, area, seconds, and whether the run is finished.

    A run is finished where it reaches the budget's end; `final` and `area` are NaN where it does not.
    """
    rows = []
    for (curve, seed), run in runs.groupby([curve_names(runs).rename("curve"), "seed"], sort=True):
        within = run[run["labelled"] <= budget.end]
        later = within[within["round"] > 0]  # the initial set is drawn, not selected
        rows.append(
            {
                "curve": curve,
                "seed": seed,
                "folder": run["folder"].iloc[0],
                "labelled": int(run["labelled"].max()),
                "finished": int(run["labelled"].max()) >= budget.end,
                "final": error_at(run, budget.end),
                "area": area(run, budget),
                "wall_seconds": (within["fit_seconds"] + within["select_seconds"].fillna(0.0)).sum(min_count=1),
                "select_seconds": later["select_seconds"].median(),
                "energy_joules": within["energy_joules"].sum(min_count=1) if "energy_joules" in within else nan,
            }
        )
    return pd.DataFrame(rows)


def _columns(run: pd.DataFrame) -> tuple[Floats, Floats]:
    return run["labelled"].to_numpy(dtype=np.float64), run["test_error"].to_numpy(dtype=np.float64)
