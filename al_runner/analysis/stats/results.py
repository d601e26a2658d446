"""al-compare's tables of errors and of paired tests: one row for each curve, or for each pair of curves."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any
from weakref import WeakKeyDictionary

import pandas as pd

from al_runner.analysis.stats.case import MEASURES, Case, Pair, cases
from al_runner.analysis.stats.curves import split_by_curve
from al_runner.analysis.stats.intervals import interval, mean_columns, wilson
from al_runner.analysis.stats.paired import Test
from al_runner.analysis.table.metrics import ERROR, LOSS, Metric, measured_by
from al_runner.analysis.table.names import all_truth
from al_runner.record.run_id import COMBINATION

COSTS = ("wall_seconds", "fit_seconds", "select_seconds", "energy_joules")
COLUMNS = (
    *COMBINATION,
    *("curve", "seeds", "labelled", "start", "final_rounds"),
    *(f"{measure}{part}" for measure in ("final", "last", "area") for part in ("", "_half")),
    "test_images",
    "final_test_low",
    "final_test_high",
    "pairs",
    *(f"{measure}_minus_baseline{part}" for measure in MEASURES for part in ("", "_half", "_p")),
    "rank",
    *COSTS,
)
PAIR_COLUMNS = ("measure", "first", "second", *Test._fields, "t_holm", "wilcoxon_holm")
_KNOWN: WeakKeyDictionary[Case, list[dict[str, Any]]] = WeakKeyDictionary()


def summarise(frame: pd.DataFrame, metric: Metric = ERROR) -> pd.DataFrame:
    """`results` of a tidy table with random as the baseline, and rows for combinations that have only ground truth."""
    frame = measured_by(frame, metric)
    groups = [(key, runs) for key, runs in frame.groupby(list(COMBINATION), sort=True) if all_truth(runs)]
    alone = [row for key, runs in groups for row in _truths(dict(zip(COMBINATION, key, strict=True)), runs)]
    if all_truth(frame):
        return _table(alone)
    curves = results(cases(frame, metric=metric))
    return pd.concat([curves, pd.DataFrame(alone)], ignore_index=True) if alone else curves


def results(case_list: Sequence[Case]) -> pd.DataFrame:
    """Errors with 95% t half-widths, and paired differences to the baseline: one row for each case and curve.

    Ground truth comes last in a case. `final` is the mean error over the last `final_rounds` rounds of the budget,
    `last` the error at its end, `area` the mean error from `start` to `labelled` labels. `final_test_low` and `_high`
    are the `wilson` interval of `final` for `test_images`, NaN if the metric is not the test error. `rank` is by final
    error over shared seeds; equal curves share a rank. `..._minus_baseline_p` is Student's, corrected for the
    comparisons with the baseline. Costs are medians over the runs: `wall_seconds` and `energy_joules` of a whole run,
    `fit_seconds` and `select_seconds` of a run's median round.
    """
    return _table([row for case in case_list for row in _rows(case)])


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"rank": "Int64", "test_images": "Int64", "start": "Int64"})


def _rows(case: Case) -> list[dict[str, Any]]:
    """The rows of a case. Several tables and figures show them, so they are computed once."""
    if case not in _KNOWN:
        _KNOWN[case] = [*(_curve(case, name) for name in case.parts), *_truths(case.where, case.truth)]
    return _KNOWN[case]


def _curve(case: Case, name: str) -> dict[str, Any]:
    done = case.each[(case.each["curve"] == name) & case.each["finished"]]
    row: dict[str, Any] = {**case.where, "curve": name, "seeds": len(done), "labelled": case.budget.end}
    row |= {"start": case.budget.start, "final_rounds": len(case.budget.late)}
    for measure in ("final", "last", "area"):
        row |= mean_columns(measure, interval(case.values(name, measure)))
    images = max(case.test_images(name), default=None)
    row["test_images"] = images
    row["final_test_low"], row["final_test_high"] = (
        wilson(row["final"], images) if images and case.metric == ERROR else (nan, nan)
    )
    gaps = {measure: case.gaps(measure).get(name) for measure in MEASURES}
    row["pairs"] = gaps["final"].test.pairs if gaps["final"] else 0
    for measure, gap in gaps.items():
        row |= mean_columns(f"{measure}_minus_baseline", gap.test[1:3] if gap else (nan, nan))
        row[f"{measure}_minus_baseline_p"] = gap.t_holm if gap else nan
    row["rank"] = 1 + int((case.ranked < case.ranked[name]).sum()) if name in case.ranked.index else None
    return row | {cost: done[cost].median() for cost in COSTS}


def _truths(where: Mapping[str, Any], runs: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each curve of ground truth; its only round is the final one."""
    rows = []
    for name, part in split_by_curve(runs).items() if len(runs) else ():
        last = part.sort_values("round").groupby("seed").last()
        row = {**where, "curve": name, "seeds": len(last), "labelled": int(last["labelled"].max()), "final_rounds": 1}
        for measure in ("final", "last"):
            row |= mean_columns(measure, interval(last[LOSS]))
        rows.append(row | {"pairs": 0, "wall_seconds": last["fit_seconds"].median()})
    return rows


def paired_tests(case_list: Sequence[Case]) -> pd.DataFrame:
    """The difference first - second and its paired tests: one row for each case, measure and pair of curves.

    Pairs with the baseline come first. `t_p` and `wilcoxon_p` are two-sided. `t_holm` and `wilcoxon_holm` are corrected
    for the pair's family: all pairs with the baseline, or all other pairs. `seeds_needed` is the number of pairs with
    which a t test at 5% would detect this difference with 80% probability.
    """
    rows = [case.where | _pair(pair) for case in case_list for pair in (*case.with_baseline, *case.without_baseline)]
    return pd.DataFrame(rows, columns=[*COMBINATION, *PAIR_COLUMNS])


def _pair(pair: Pair) -> dict[str, Any]:
    return {**pair._asdict(), **pair.test._asdict()}
