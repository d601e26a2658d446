"""A case: one combination of data set, model, learner, training and budget, and its strategies against each other.

Runs are paired by seed. Runs that stop before the budget's end are left out. Nothing is ranked with fewer than three
paired seeds, and no curve with fewer than half of the seeds that two others have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from al_runner.analysis.stats.curves import split_by_curve
from al_runner.analysis.stats.intervals import Floats
from al_runner.analysis.stats.measures import SharedBudget, budget_of, measures
from al_runner.analysis.stats.paired import (
    DIGITS,
    LEAST_PAIRS,
    LEVEL,
    Test,
    each_paired_test,
    holm,
    paired_test,
    rounded,
    seeds_needed,
)
from al_runner.analysis.table.metrics import ERROR, LOSS, Metric, measured_by
from al_runner.analysis.table.names import (
    all_truth,
    case_title,
    case_words,
    curve_names,
    is_truth,
    require_curve,
    upper_lines,
)
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

    def _family(self, left: str, right: str, measure: str) -> list[Pair]:
        """All comparisons for which the p value of two curves is corrected."""
        family = self.with_baseline if self.baseline in (left, right) else self.without_baseline
        return [pair for pair in family if pair.measure == measure]

    def corrected_p(self, left: str, right: str, measure: str = "final") -> float:
        """Student's p of the difference of two curves, corrected for its family, in either order."""
        (pair,) = (p for p in self._family(left, right, measure) if {p.first, p.second} == {left, right})
        return pair.t_holm

    def seeds_needed(self, left: str, right: str, measure: str = "final") -> float:
        """As `paired.seeds_needed`, at a level of 5% divided by the number of comparisons in the pair's family.

        NaN if the differences don't vary.
        """
        differences = rounded(self._differences(left, right, measure))
        if len(differences) < 2 or np.ptp(differences) == 0:
            return nan
        level = LEVEL / len(self._family(left, right, measure))
        return seeds_needed(float(differences.mean()), float(differences.std(ddof=1)), level)

    @cached_property
    def ranked(self) -> "pd.Series[float]":
        """Mean final error by curve over the seeds that all ranked curves share, ascending.

        Curves need LEAST_PAIRS finished seeds, and half as many as two others have: a curve with few seeds would decide
        the ranking of all others, because only the seeds that it has would count. Empty if fewer than two curves have
        enough, or if they share fewer than LEAST_PAIRS seeds.
        """
        counts = {name: len(self.values(name, "final")) for name in self.strategies}
        second_most = sorted([0, 0, *counts.values()])[-2]
        least = max(LEAST_PAIRS, second_most / 2)
        return self._shared_means([name for name, count in counts.items() if count >= least], "final")

    @property
    def unranked(self) -> dict[str, int]:
        """The finished seeds of every curve that is not ranked, by curve."""
        return {name: len(self.values(name, "final")) for name in self.strategies if name not in self.ranked.index}

    def lowest(self, measure: str) -> list[str]:
        """The ranked curves with the lowest mean of a measure over the shared seeds; none if nothing is ranked."""
        means = self._shared_means(list(self.ranked.index), measure)
        return [*map(str, means.index[means == means.min()])]

    def _shared_means(self, names: Sequence[str], measure: str) -> "pd.Series[float]":
        shared = pd.DataFrame({name: self.values(name, measure) for name in names}).dropna()
        if len(names) < 2 or len(shared) < LEAST_PAIRS:
            return pd.Series(dtype=np.float64)
        return shared.mean().round(DIGITS).sort_values(kind="stable")

    @property
    def pool_images(self) -> int | None:
        """How many labels could be bought in all; None if neither the rows nor ground truth say so."""
        known = _known(self.runs, "pool_images")
        return max(known) if known else (int(self.truth["labelled"].max()) if len(self.truth) else None)

    def test_images(self, curve: str | None = None) -> list[int]:
        """On how many images the errors of a curve, or of all curves, were measured, ascending; empty if unknown.

        More than one number means that the runs don't share a test set.
        """
        return _known(self.runs if curve is None else self.runs[curve_names(self.runs) == curve], "test_images")

    @property
    def where(self) -> dict[str, str]:
        return dict(zip(COMBINATION, self.key, strict=True))


def _known(runs: pd.DataFrame, column: str) -> list[int]:
    return sorted({*map(int, runs[column].dropna())}) if column in runs else []


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
        lines = truth | curve_names(runs).isin(upper_lines(runs))
        budget = budget_of(runs[~lines] if not lines.all() else runs[~truth], at, last)
        longest = int(runs.loc[~truth, "labelled"].max())
        if not budget.start <= budget.end <= longest:
            raise UsageError(f"--at is {at}; the curves go from {budget.start} to {longest} labels ({case_words(key)})")
        title = case_title(key, list(groups))
        case_list.append(Case(key, title, runs[~truth], runs[truth], budget, baseline or BASELINE, metric))
    return case_list
