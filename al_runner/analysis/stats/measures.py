"""What one run is worth: its final error, the area below its curve, the labels it needs to reach an error.

A budget is a number of labels. Errors are fractions; a run's curve is straight between its label counts.
"""

from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from al_runner.analysis.stats.intervals import Floats, mean_height
from al_runner.analysis.table.names import curve_names

MOST_LATE = 10  # rounds whose mean error is the final one, at most


class Budget(NamedTuple):
    """The label counts that a comparison spans."""

    start: int  # the first that every curve has
    late: tuple[int, ...]  # ascending; the final error is the mean of the errors there

    @property
    def end(self) -> int:
        """Where the comparison ends."""
        return self.late[-1]


def budget_of(runs: pd.DataFrame, end: int | None = None, last: int | None = None) -> Budget:
    """From the latest first count of the curves to `end`, or to the most labels that any of them has.

    The error of a single round scatters, so the final error is the mean over the `last` rounds. Without a number it is
    that of the last tenth: one round for fewer than 20, never more than 10. Rounds are those of the run that has the
    fewest from the start to the end, of the runs that reach the end. So curves of different query sizes are held
    against each other at the same counts.
    """
    each = runs.groupby([curve_names(runs).rename("curve"), "seed"], sort=True)["labelled"]
    start, longest = int(each.min().max()), int(each.max().max())
    end = longest if end is None else end
    reaching = [run[run.between(start, end)] for _, run in each if run.max() >= end]
    counts = sorted({*map(int, min(reaching, key=len, default=[])), end})
    late = last or min(MOST_LATE, max(1, len(counts) // 10))
    return Budget(start, tuple(counts[-late:]))


def errors_at(run: pd.DataFrame, counts: Sequence[int]) -> Floats:
    """A run's test errors with so many labels; NaN before its first and after its last round."""
    return np.interp(counts, *_columns(run), left=nan, right=nan)


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
    """One row a curve and seed of one combination: errors, area, seconds, and whether the run is finished.

    `final` is the mean error over the budget's late counts, `last` the error at its end. A run is finished where it
    reaches the end; `final`, `last` and `area` are NaN where it does not.
    """
    keys = [curve_names(runs).rename("curve"), "seed"]
    rows = []
    for (curve, seed), run in runs.groupby(keys, sort=True):
        errors, labelled = errors_at(run, budget.late), int(run["labelled"].max())
        rows.append(
            {
                "curve": curve,
                "seed": seed,
                "folder": run["folder"].iloc[0],
                "labelled": labelled,
                "finished": labelled >= budget.end,
                "final": float(errors.mean()),
                "last": float(errors[-1]),
                "area": area(run, budget),
            }
        )
    return pd.DataFrame(rows).merge(_costs(runs, keys, budget), on=["curve", "seed"], how="left")


def _costs(runs: pd.DataFrame, keys: list[Any], budget: Budget) -> pd.DataFrame:
    """Seconds and joules of every run within the budget, a row a curve and seed; NaN where none is known."""
    within = runs["labelled"] <= budget.end
    wall = (runs["fit_seconds"] + runs["select_seconds"].fillna(0.0)).where(within)
    costs = pd.DataFrame(
        {
            "wall_seconds": wall,
            "fit_seconds": runs["fit_seconds"].where(within),
            "select_seconds": runs["select_seconds"].where(within & (runs["round"] > 0)),  # at first nothing is chosen
            "energy_joules": runs["energy_joules"].where(within) if "energy_joules" in runs else nan,
        }
    )
    groups = costs.groupby([keys[0], runs["seed"]], sort=True)
    sums, medians = groups.sum(min_count=1), groups.median()
    found = sums[["wall_seconds"]].join(medians[["fit_seconds", "select_seconds"]]).join(sums[["energy_joules"]])
    return found.reset_index()


def _columns(run: pd.DataFrame) -> tuple[Floats, Floats]:
    return run["labelled"].to_numpy(dtype=np.float64), run["test_error"].to_numpy(dtype=np.float64)
