"""A case: one combination of data set, model, learner, training and budget, and its strategies against each other.

Runs are paired by seed, runs that stop short of the budget's end are left out, and nothing is ranked on fewer than
three paired seeds.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from al_runner.analysis.stats.curves import split_by_curve
from al_runner.analysis.stats.measures import Budget, budget_of, measures
from al_runner.analysis.stats.paired import LEAST_PAIRS, Test, holm, paired_test
from al_runner.analysis.table.names import all_truth, case_title, curve_names, is_truth, require_curve
from al_runner.analysis.table.rows import BASELINE, KEYS
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION

MEASURES = ("final", "area")
PAIR_COLUMNS = ("measure", "first", "second", *Test._fields, "t_holm", "wilcoxon_holm")


@dataclass(frozen=True, eq=False)
class Case:
    """One combination's runs, up to the budget's end."""

    key: tuple[str, ...]  # the values of COMBINATION
    title: str  # as much of the key as tells the case from the others
    runs: pd.DataFrame  # without ground truth
    truth: pd.DataFrame  # ground truth alone, empty where it was not run
    budget: Budget
    baseline: str

    @cached_property
    def each(self) -> pd.DataFrame:
        """`measures` of every run."""
        return measures(self.runs, self.budget)

    @cached_property
    def parts(self) -> dict[str, pd.DataFrame]:
        """Rows of the finished runs by curve, the baseline first; none for a curve without a finished run."""
        names = curve_names(self.runs)
        done = set(self.each.loc[self.each["finished"], "folder"])
        parts = {name: part[part["folder"].isin(done)] for name, part in split_by_curve(self.runs).items()}
        order = sorted(names.unique(), key=lambda name: (name != self.baseline, name))
        return {name: parts[name] for name in order}

    @cached_property
    def truths(self) -> dict[str, pd.DataFrame]:
        """Rows of ground truth by curve."""
        return split_by_curve(self.truth) if len(self.truth) else {}

    def values(self, curve: str, measure: str) -> "pd.Series[float]":
        """A measure by seed, of the finished runs."""
        rows = self.each[(self.each["curve"] == curve) & self.each["finished"]].dropna(subset=[measure])
        return rows.set_index("seed")[measure]

    def test(self, left: str, right: str, measure: str) -> Test:
        """`left` minus `right`, paired by seed."""
        difference = (self.values(left, measure) - self.values(right, measure)).dropna()
        return paired_test(difference.to_numpy(dtype=np.float64))

    def against_baseline(self, measure: str) -> dict[str, tuple[Test, float]]:
        """Every other curve's test against the baseline, and its t test's p corrected for these comparisons alone.

        They are fewer than all pairs (Holm, 1979; Demsar, 2006, section 3.2.2).
        """
        others = [name for name in self.parts if name != self.baseline]
        tests = [self.test(name, self.baseline, measure) for name in others]
        held = zip(tests, holm([test.t_p for test in tests]), strict=True)
        return dict(zip(others, held, strict=True))

    @cached_property
    def pairs(self) -> list[dict[str, Any]]:
        """A row of `paired_tests` for every measure and pair of curves, PAIR_COLUMNS."""
        rows = []
        pairs = list(combinations(self.parts, 2))
        for measure in MEASURES:
            held = [self.test(right, left, measure) for left, right in pairs]
            corrected = zip(holm([t.t_p for t in held]), holm([t.wilcoxon_p for t in held]), strict=True)
            for (left, right), test, held_p in zip(pairs, held, corrected, strict=True):
                rows.append(dict(zip(PAIR_COLUMNS, (measure, right, left, *test, *held_p), strict=True)))
        return rows

    @cached_property
    def ranked(self) -> "pd.Series[float]":
        """Mean final error by curve over the seeds that all ranked curves share, ascending; empty where refused."""
        finals = {name: self.values(name, "final") for name in self.parts}
        enough = {name: values for name, values in finals.items() if len(values) >= LEAST_PAIRS}
        shared = pd.DataFrame(enough).dropna()
        if len(enough) < 2 or len(shared) < LEAST_PAIRS:
            return pd.Series(dtype=np.float64)
        return shared.mean().sort_values(kind="stable")

    @property
    def where(self) -> dict[str, str]:
        return dict(zip(COMBINATION, self.key, strict=True))


def cases(frame: pd.DataFrame, at: int | None = None, baseline: str = BASELINE) -> list[Case]:
    """The combinations of a tidy table (`load`) that have a curve, compared up to `at` labels, or as far as any goes.

    UsageError where there is no curve, or where `at` is a budget that no run spans.
    """
    require_curve(frame, "compare")
    found = []
    ordered = frame.sort_values([*KEYS, "round"])
    groups = {tuple(map(str, key)): runs for key, runs in ordered.groupby(list(COMBINATION), sort=True)}
    for key, runs in groups.items():
        if all_truth(runs):
            continue
        truth = is_truth(runs)
        budget = budget_of(runs[~truth], at)
        longest = int(runs.loc[~truth, "labelled"].max())
        if not budget.start <= budget.end <= longest:
            raise UsageError(f"--at is {at}; the curves of {', '.join(key)} go from {budget.start} to {longest} labels")
        found.append(Case(key, case_title(key, list(groups)), runs[~truth], runs[truth], budget, baseline))
    return found
