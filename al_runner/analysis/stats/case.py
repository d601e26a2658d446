"""A case: one combination of data set, model, learner, training and budget, and its strategies against each other.

Runs are paired by seed. Runs that stop before the budget's end are left out. Nothing is ranked with fewer than three
paired seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from al_runner.analysis.stats.curves import split_by_curve
from al_runner.analysis.stats.intervals import Floats
from al_runner.analysis.stats.measures import SharedBudget, budget_of, measures
from al_runner.analysis.stats.paired import DIGITS, LEAST_PAIRS, Test, each_paired_test, holm, paired_test
from al_runner.analysis.table.metrics import ERROR, LOSS, Metric, measured_by
from al_runner.analysis.table.names import all_truth, case_title, curve_names, is_truth, require_curve, upper_lines
from al_runner.analysis.table.rows import BASELINE, KEYS
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION

MEASURES = ("final", "area")


class Pair(NamedTuple):
    """`first` minus `second` by one measure, with p values corrected for the pair's family of comparisons."""

    measure: str
    first: str
    second: str
    test: Test
    t_holm: float
    wilcoxon_holm: float


@dataclass(frozen=True, eq=False)
class Case:
    """The runs of one combination, compared up to the budget's end."""

    key: tuple[str, ...]  # the values of COMBINATION
    title: str  # data set, model, and the other parts of the key that differ between cases
    runs: pd.DataFrame  # without ground truth
    truth: pd.DataFrame  # only ground truth, empty if it was not run
    budget: SharedBudget
    baseline: str
    metric: Metric = ERROR  # the rows have its losses in the column LOSS

    @cached_property
    def each(self) -> pd.DataFrame:
        """`measures` of every run."""
        return measures(self.runs, self.budget, LOSS)

    @cached_property
    def parts(self) -> dict[str, pd.DataFrame]:
        """Rows of the finished runs by curve, the baseline first; no rows for a curve without a finished run."""
        names = curve_names(self.runs)
        done = set(self.each.loc[self.each["finished"], "folder"])
        parts = {name: part[part["folder"].isin(done)] for name, part in split_by_curve(self.runs).items()}
        order = sorted(names.unique(), key=lambda name: (name != self.baseline, name))
        return {name: parts[name] for name in order}

    @cached_property
    def strategies(self) -> list[str]:
        """The curves that are ranked and tested: all of `parts` but upper lines."""
        lines = upper_lines(self.runs)
        return [name for name in self.parts if name not in lines]

    @cached_property
    def truths(self) -> dict[str, pd.DataFrame]:
        """Rows of ground truth by curve."""
        return split_by_curve(self.truth) if len(self.truth) else {}

    def values(self, curve: str, measure: str) -> "pd.Series[float]":
        """A measure of the finished runs of a curve, by seed."""
        if (curve, measure) not in self._values:
            rows = self._finished.get(curve, self.each[:0])[measure]
            self._values[curve, measure] = rows[rows.notna()]
        return self._values[curve, measure]

    @cached_property
    def _values(self) -> dict[tuple[str, str], "pd.Series[float]"]:
        """What `values` has returned; every pair of curves asks again."""
        return {}

    @cached_property
    def _finished(self) -> dict[str, pd.DataFrame]:
        """The rows of `each` that are finished, in a table for each curve, by seed."""
        done = self.each[self.each["finished"]]
        return {str(name): part.set_index("seed") for name, part in done.groupby("curve", sort=False)}

    def test(self, left: str, right: str, measure: str) -> Test:
        """The test of `left` minus `right`, paired by seed."""
        return paired_test(self._differences(left, right, measure))

    def _differences(self, left: str, right: str, measure: str) -> Floats:
        """`left` minus `right`, paired by seed."""
        first, second = self.values(left, measure), self.values(right, measure)
        if first.index.equals(second.index):
            return np.asarray(first.to_numpy() - second.to_numpy(), dtype=np.float64)
        return np.asarray((first - second).dropna(), dtype=np.float64)

    @cached_property
    def with_baseline(self) -> list[Pair]:
        """Every other curve against the baseline, by every measure."""
        return self._tested([(name, self.baseline) for name in self._others if self.baseline in self.strategies])

    @cached_property
    def without_baseline(self) -> list[Pair]:
        """Every pair of the other curves, by every measure."""
        return self._tested([(second, first) for first, second in combinations(self._others, 2)])

    @property
    def _others(self) -> list[str]:
        return [name for name in self.strategies if name != self.baseline]

    def _tested(self, names: Sequence[tuple[str, str]]) -> list[Pair]:
        """One family of comparisons: p values are corrected for all of its pairs, measure by measure (Holm, 1979).

        A pair belongs to one family, so it has one corrected p, which is the same everywhere. There are two families,
        because "is it better than the baseline?" is asked of only some pairs (Demsar, 2006, section 3.2.2).
        """
        pairs = []
        for measure in MEASURES:
            tests = each_paired_test(self._differences(*two, measure) for two in names)
            corrected = zip(holm([t.t_p for t in tests]), holm([t.wilcoxon_p for t in tests]), strict=True)
            pairs += [Pair(measure, *row[0], row[1], *row[2]) for row in zip(names, tests, corrected, strict=True)]
        return pairs

    def gaps(self, measure: str) -> dict[str, Pair]:
        """Each curve's comparison with the baseline, by curve."""
        return {pair.first: pair for pair in self.with_baseline if pair.measure == measure}

    def corrected_p(self, left: str, right: str) -> float:
        """Student's p of the difference of two curves' final errors, corrected for its family, in either order."""
        family = self.with_baseline if self.baseline in (left, right) else self.without_baseline
        (pair,) = (p for p in family if p.measure == "final" and {p.first, p.second} == {left, right})
        return pair.t_holm

    @cached_property
    def ranked(self) -> "pd.Series[float]":
        """Mean final error by curve over the seeds that all ranked curves share, ascending.

        Curves need LEAST_PAIRS finished seeds. Empty if fewer than two curves have them, or if they share fewer seeds.
        """
        finals = {name: self.values(name, "final") for name in self.strategies}
        enough = {name: values for name, values in finals.items() if len(values) >= LEAST_PAIRS}
        shared = pd.DataFrame(enough).dropna()
        if len(enough) < 2 or len(shared) < LEAST_PAIRS:
            return pd.Series(dtype=np.float64)
        return shared.mean().round(DIGITS).sort_values(kind="stable")

    @property
    def pool_images(self) -> int | None:
        """How many labels could be bought in all; None if neither the rows nor ground truth say so."""
        return _largest(self.runs, "pool_images") or (int(self.truth["labelled"].max()) if len(self.truth) else None)

    @property
    def test_images(self) -> int | None:
        """How many images the errors were measured on; None if the rows don't say so."""
        return _largest(self.runs, "test_images")

    @property
    def where(self) -> dict[str, str]:
        return dict(zip(COMBINATION, self.key, strict=True))


def _largest(runs: pd.DataFrame, column: str) -> int | None:
    known = runs[column].dropna() if column in runs else runs["labelled"][:0]
    return int(known.max()) if len(known) else None


def cases(
    frame: pd.DataFrame,
    at: int | None = None,
    baseline: str | None = None,
    last: int | None = None,
    metric: Metric = ERROR,
) -> list[Case]:
    """The cases of a tidy table (`load`): every combination that has a curve, compared by `metric`.

    The budget ends at `at` labels, or at the most labels that a run has. The final error is the mean of the `last`
    rounds, see `budget_of`. Without `baseline`, the baseline is random, even if it was not run. Raises UsageError if
    there is no curve, if `baseline` is no curve, if no run spans the budget `at`, or if a run lacks the metric.
    """
    require_curve(frame, "compare")
    names = sorted(set(curve_names(frame[~is_truth(frame)])))
    if baseline not in (None, *names):
        raise UsageError(f"--baseline: there is no curve {baseline}; choose one of {', '.join(names)}")
    case_list = []
    ordered = measured_by(frame, metric).sort_values([*KEYS, "round"])
    groups = {tuple(map(str, key)): runs for key, runs in ordered.groupby(list(COMBINATION), sort=True)}
    for key, runs in groups.items():
        if all_truth(runs):
            continue
        truth = is_truth(runs)
        budget = budget_of(runs[~truth], at, last)
        longest = int(runs.loc[~truth, "labelled"].max())
        if not budget.start <= budget.end <= longest:
            raise UsageError(f"--at is {at}; the curves of {', '.join(key)} go from {budget.start} to {longest} labels")
        title = case_title(key, list(groups))
        case_list.append(Case(key, title, runs[~truth], runs[truth], budget, baseline or BASELINE, metric))
    return case_list
