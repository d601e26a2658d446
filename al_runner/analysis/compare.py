"""Strategies against each other: the tables of al-compare, each a function of the cases of a folder.

A case is one combination of data set, model, learner, training and budget. Runs are paired by seed, runs that stop
short of the budget's end are named and left out, and nothing is ranked on fewer than three paired seeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from al_runner.analysis.curves import interval, split_by_curve
from al_runner.analysis.measures import Budget, budget_of, labels_to, measures
from al_runner.analysis.paired import LEAST_PAIRS, Test, holm, paired_test, ranks, share_beaten
from al_runner.analysis.runs import BASELINE, COMBINATION, KEYS, curve_names
from al_runner.analysis.text import case_title
from al_runner.errors import UsageError

MEASURES = ("final", "area")
PAIR_COLUMNS = ("measure", "first", "second", *Test._fields, "t_holm", "wilcoxon_holm")
TARGETS = (0.2, 0.1, 0.05, 0.02, 0.01)


@dataclass(frozen=True, eq=False)
class Case:
    """One combination's runs, up to the budget's end."""

    key: tuple[str, ...]  # the values of COMBINATION
    title: str  # as much of the key as tells the case from the others
    runs: pd.DataFrame  # without full
    truth: pd.DataFrame  # strategy full alone, empty where it was not run
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
        """Rows of full by curve."""
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
    found = []
    ordered = frame.sort_values([*KEYS, "round"])
    groups = {tuple(map(str, key)): runs for key, runs in ordered.groupby(list(COMBINATION), sort=True)}
    for key, runs in groups.items():
        full = runs["strategy"] == "full"
        if full.all():
            continue
        budget = budget_of(runs[~full], at)
        longest = int(runs.loc[~full, "labelled"].max())
        if not budget.start <= budget.end <= longest:
            raise UsageError(f"--at is {at}; the curves of {', '.join(key)} go from {budget.start} to {longest} labels")
        found.append(Case(key, case_title(key, list(groups)), runs[~full], runs[full], budget, baseline))
    if not found:
        raise UsageError("no curve to compare: there is no strategy but full; run another one, e.g. strategy=random")
    return found


def results(found: Sequence[Case]) -> pd.DataFrame:
    """One row a case and curve, `full` last: errors with 95% t half-widths, the paired difference to the baseline.

    `final` is the error at the budget's end, `area` the mean error over the budget, `rank` by final error over shared
    seeds, `..._minus_baseline_p` as `Case.against_baseline` has it. Seconds are medians over the runs: `wall_seconds`
    of a whole run, `select_seconds` a round.
    """
    rows = []
    for case in found:
        order, gaps = list(case.ranked.index), {measure: case.against_baseline(measure) for measure in MEASURES}
        for name in case.parts:
            done = case.each[(case.each["curve"] == name) & case.each["finished"]]
            row: dict[str, Any] = {**case.where, "curve": name, "seeds": len(done), "labelled": case.budget.end}
            for measure in MEASURES:
                row |= _pair(measure, interval(case.values(name, measure)))
            row["pairs"] = gaps["final"][name][0].pairs if name != case.baseline else 0
            for measure in MEASURES:
                test, p = gaps[measure].get(name, (None, nan))
                row |= _pair(f"{measure}_minus_baseline", (test.mean, test.half) if test else (nan, nan))
                row[f"{measure}_minus_baseline_p"] = p
            row["rank"] = order.index(name) + 1 if name in order else None
            row |= {cost: done[cost].median() for cost in ("wall_seconds", "select_seconds", "energy_joules")}
            rows.append(row)
        rows += [_truth(case, name, part) for name, part in case.truths.items()]
    table = pd.DataFrame(rows)
    return table.astype({"rank": "Int64"})


def _truth(case: Case, name: str, runs: pd.DataFrame) -> dict[str, Any]:
    last = runs.sort_values("round").groupby("seed").last()
    row = {**case.where, "curve": name, "seeds": len(last), "labelled": int(last["labelled"].max()), "pairs": 0}
    return row | _pair("final", interval(last["test_error"])) | {"wall_seconds": last["fit_seconds"].median()}


def labels_needed(found: Sequence[Case], targets: Sequence[float] | None = None) -> pd.DataFrame:
    """Labels to the first test error of `target` or less, and the saving against the baseline, paired by seed.

    The first target of a case is the baseline's final error in the same seed (NaN in the column `target`); the others
    are `targets`, or those of 20, 10, 5, 2 and 1% that some run reaches after its start. `reached` of `seeds` runs
    reach it; `labels` is their mean, `saving` is 1 - labels / the baseline's labels, a fraction, over the `pairs` in
    which both reach it. Both are NaN unless all do: a mean over the lucky ones alone would flatter.
    """
    rows = []
    for case in found:
        levels: list[float] = [*([nan] if case.baseline in case.parts else []), *_targets(case, targets)]
        for target in levels:
            goals = case.values(case.baseline, "final") if isnan(target) else None
            base = _needed(case, case.baseline, target, goals) if case.baseline in case.parts else None
            for name in case.parts:
                needed = _needed(case, name, target, goals)
                row = {**case.where, "curve": name, "target": target, "seeds": len(needed)}
                row["reached"] = int(needed.notna().sum())
                row |= _pair("labels", interval(needed) if needed.notna().all() else (nan, nan))
                rows.append(row | _saving(needed, base, name == case.baseline))
    measured = ("target", "seeds", "reached", "labels", "labels_half", "pairs", "saving", "saving_half")
    return pd.DataFrame(rows, columns=[*COMBINATION, "curve", *measured])


def _targets(case: Case, asked: Sequence[float] | None) -> list[float]:
    if asked is not None:
        return list(asked)
    within = [part[part["labelled"] <= case.budget.end] for part in case.parts.values()]
    ordered = [part.sort_values(["seed", "round"]) for part in within if len(part)]
    lowest = min((part["test_error"].min() for part in ordered), default=1.0)
    first = max((part.groupby("seed")["test_error"].first().max() for part in ordered), default=0.0)
    return [target for target in TARGETS if lowest <= target < first]


def _needed(case: Case, name: str, target: float, goals: "pd.Series[float] | None") -> "pd.Series[float]":
    """Labels to the target by seed; `goals` has a target a seed where they differ, and the seeds that count."""
    needed = {
        seed: labels_to(run, target if goals is None else float(goals[seed]), case.budget.end)
        for seed, run in case.parts[name].groupby("seed", sort=True)
        if goals is None or seed in goals.index
    }
    return pd.Series(needed, dtype=np.float64)


def _saving(needed: "pd.Series[float]", base: "pd.Series[float] | None", itself: bool) -> dict[str, float]:
    if base is None or itself:
        return {"pairs": 0, **_pair("saving", (nan, nan))}
    shared = needed.index.intersection(base.index)
    saving = 1 - needed[shared] / base[shared]
    whole = len(saving) > 0 and saving.notna().all()
    return {"pairs": int(saving.notna().sum()), **_pair("saving", interval(saving) if whole else (nan, nan))}


def paired_tests(found: Sequence[Case]) -> pd.DataFrame:
    """One row a case, measure and pair of curves: the difference first - second, and its paired tests by seed.

    `t_p` and `wilcoxon_p` are two-sided, `t_holm` and `wilcoxon_holm` corrected for all pairs of the case and measure
    (Holm, 1979). `seeds_needed`: with how many pairs a t test at 5% would see this difference with 80% probability.
    """
    columns = [*COMBINATION, *PAIR_COLUMNS]
    return pd.DataFrame([case.where | row for case in found for row in case.pairs], columns=columns)


def penalties(found: Sequence[Case]) -> pd.DataFrame:
    """The pairwise penalty matrix (Ash et al., 2020, section 4.2), row against column.

    An entry sums over the cases the fraction of label counts at which the row's curve beats the column's beyond
    chance (`share_beaten`); the last row is a column's mean, low for a curve that is seldom beaten. NaN where no case
    has two pairs of both.
    """
    names = _curves(found)
    matrix = pd.DataFrame(nan, index=names, columns=names)
    for case in found:
        curves = {name: _by_seed(part, case.budget) for name, part in case.parts.items() if len(part)}
        for left, right in _ordered_pairs(curves):
            share = share_beaten(curves[left], curves[right])
            if not isnan(share):
                matrix.loc[left, right] = np.nansum([matrix.loc[left, right], share])
    return pd.concat([matrix, matrix.mean().to_frame("mean").T]).rename_axis("curve")


def _by_seed(runs: pd.DataFrame, budget: Budget) -> pd.DataFrame:
    within = runs[runs["labelled"].between(budget.start, budget.end)]
    return within.pivot(index="labelled", columns="seed", values="test_error").dropna()


def average_ranks(found: Sequence[Case]) -> pd.DataFrame:
    """Mean rank by final error over the cases, of the curves that are ranked in every ranked one (Demsar, 2006).

    Columns: curve, rank, cases, critical_difference, friedman_p. Empty for fewer than two such cases or curves.
    """
    held = [case.ranked for case in found if len(case.ranked)]
    names = sorted(set.intersection(*(set(means.index) for means in held))) if held else []
    columns = ["curve", "rank", "cases", "critical_difference", "friedman_p"]
    if len(held) < 2 or len(names) < 2:
        return pd.DataFrame(columns=columns)
    found_ranks = ranks(np.array([[means[name] for name in names] for means in held]))
    rows = [
        (name, rank, len(held), found_ranks.critical, found_ranks.friedman_p)
        for name, rank in zip(names, found_ranks.mean, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns).sort_values(["rank", "curve"], ignore_index=True)


def _curves(found: Sequence[Case]) -> list[str]:
    names = dict.fromkeys(name for case in found for name in case.parts)
    return sorted(names, key=lambda name: (name != found[0].baseline, name))


def _ordered_pairs(names: Any) -> Iterator[tuple[str, str]]:
    return ((left, right) for left in names for right in names if left != right)


def _pair(name: str, value: Sequence[float]) -> dict[str, float]:
    return {name: value[0], f"{name}_half": value[1]}
