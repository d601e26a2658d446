"""Measures of one run: its final error, the area below its curve, the labels that it needs to reach an error.

A budget is a number of labels. Errors are in the column `test_error`, as fractions, or in another one. A run's curve is
straight between its label counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_runner.analysis.stats.intervals import Floats, mean_height
from al_runner.analysis.table.names import curve_names

Run = pd.DataFrame | Mapping[str, NDArray[Any]]  # the columns of one run
MOST_LATE = 10  # rounds: the final error is the mean of at most this many


class SharedBudget(NamedTuple):
    """The label counts at which runs are compared."""

    counts: tuple[int, ...]  # ascending; every finished run has an error at each of them
    rounds: int = 1  # the final error is the mean of the errors at this many of the last counts

    @property
    def start(self) -> int:
        """The label count at which the comparison begins."""
        return self.counts[0]

    @property
    def end(self) -> int:
        """The label count at which the comparison ends."""
        return self.counts[-1]

    @property
    def late(self) -> tuple[int, ...]:
        """The counts of the final error."""
        return self.counts[-self.rounds :]


def each_run(runs: pd.DataFrame, keys: Sequence[Any], columns: Sequence[str]) -> Iterator[tuple[Any, Run]]:
    """The key and these columns of every run, sorted by key; as arrays, because a table for each run takes long."""
    arrays = {column: runs[column].to_numpy() for column in columns}
    for key, places in sorted(runs.groupby(list(keys), sort=True).indices.items()):
        yield key, {column: values[places] for column, values in arrays.items()}


def budget_of(runs: pd.DataFrame, end: int | None = None, last: int | None = None) -> SharedBudget:
    """From the largest first count of the runs that reach the end, to `end` or to the most labels that a run has.

    The counts between are those of one run: of all runs that reach the end, the one with the fewest rounds. So curves
    with different query sizes are compared at the same counts; a curve with more rounds would have a smaller area and
    more chances of a low error. The error of a single round scatters, so the final error is the mean over the `last`
    rounds. Without `last`, it is the mean over the last tenth of the rounds: one round if there are fewer than 20, at
    most 10.
    """
    each = [run["labelled"] for _, run in each_run(runs, [curve_names(runs), "seed"], ["labelled"])]
    end = int(max(run.max() for run in each)) if end is None else end
    reaching = [run for run in each if run.max() >= end] or each
    start = int(max(run.min() for run in reaching))
    within = [run[(run >= start) & (run <= end)] for run in reaching]
    between = [count for count in sorted(map(int, min(within, key=len))) if start < count < end]
    counts = dict.fromkeys((start, *between, end))
    return SharedBudget((*counts,), min(last or min(MOST_LATE, max(1, len(counts) // 10)), len(counts)))


def errors_at(run: Run, counts: Sequence[int], column: str = "test_error") -> Floats:
    """A run's test errors at these label counts; NaN before its first and after its last round."""
    return np.interp(counts, *_columns(run, column), left=nan, right=nan)


def area(run: Run, budget: SharedBudget, column: str = "test_error") -> float:
    """Area under the curve divided by the budget's width, which is the mean error over the budget (trapezoid rule).

    NaN if the run does not span the budget.
    """
    counts = np.asarray(budget.counts, dtype=np.float64)
    return float(mean_height(errors_at(run, budget.counts, column), counts))


def labels_to(run: Run, error: float, budget: SharedBudget, column: str = "test_error") -> float:
    """The first of the budget's counts at which the run's test error is `error` or less; NaN if there is none."""
    reached = np.flatnonzero(errors_at(run, budget.counts, column) <= error)
    return float(budget.counts[reached[0]]) if len(reached) else nan


def measures(runs: pd.DataFrame, budget: SharedBudget, column: str = "test_error") -> pd.DataFrame:
    """One row for each curve and seed of one combination: errors, area, seconds, and whether the run is finished.

    `final` is the mean error over the budget's late counts, and `last` the error at its end. A run is finished if it
    reaches the end; otherwise `final`, `last` and `area` are NaN. `wall_seconds` and `energy_joules` are sums over the
    rounds of the budget; `fit_seconds` and `select_seconds` are medians.
    """
    keys = [curve_names(runs).rename("curve"), "seed"]
    rows = []
    for (curve, seed), run in each_run(runs, keys, ["folder", "labelled", column]):
        errors, labelled = errors_at(run, budget.late, column), int(run["labelled"].max())
        rows.append(
            {
                "curve": curve,
                "seed": seed,
                "folder": run["folder"][0],
                "labelled": labelled,
                "finished": labelled >= budget.end,
                "final": float(errors.mean()),
                "last": float(errors[-1]),
                "area": area(run, budget, column),
            }
        )
    return pd.DataFrame(rows).merge(_costs(runs, keys, budget), on=["curve", "seed"], how="left")


def _costs(runs: pd.DataFrame, keys: list[Any], budget: SharedBudget) -> pd.DataFrame:
    """Seconds and joules of every run within the budget, a row for each curve and seed; NaN if unknown."""
    within = runs["labelled"] <= budget.end
    later = within & (runs["round"] > 0)  # no strategy chooses the initial set
    wall = (runs["fit_seconds"] + runs["select_seconds"].fillna(0.0)).where(within)
    costs = pd.DataFrame(
        {
            "wall_seconds": wall,
            "fit_seconds": runs["fit_seconds"].where(within),
            "select_seconds": runs["select_seconds"].where(later),
            "energy_joules": runs["energy_joules"].where(within) if "energy_joules" in runs else nan,
        }
    )
    groups = costs.groupby([keys[0], runs["seed"]], sort=True)
    sums, medians = groups.sum(min_count=1), groups.median()
    joined = sums[["wall_seconds"]].join(medians[["fit_seconds", "select_seconds"]]).join(sums[["energy_joules"]])
    return joined.reset_index()


def _columns(run: Run, column: str) -> tuple[Floats, Floats]:
    return np.asarray(run["labelled"], dtype=np.float64), np.asarray(run[column], dtype=np.float64)
