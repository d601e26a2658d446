"""The tables of al-compare that say how good a strategy is and how surely it is better, a row a curve or a pair."""

from collections.abc import Sequence
from math import nan
from typing import Any

import pandas as pd

from al_runner.analysis.stats.case import MEASURES, PAIR_COLUMNS, Case
from al_runner.analysis.stats.intervals import interval, mean_columns
from al_runner.record.run_id import COMBINATION


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
                row |= mean_columns(measure, interval(case.values(name, measure)))
            row["pairs"] = gaps["final"][name][0].pairs if name != case.baseline else 0
            for measure in MEASURES:
                test, p = gaps[measure].get(name, (None, nan))
                row |= mean_columns(f"{measure}_minus_baseline", (test.mean, test.half) if test else (nan, nan))
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
    return row | mean_columns("final", interval(last["test_error"])) | {"wall_seconds": last["fit_seconds"].median()}


def paired_tests(found: Sequence[Case]) -> pd.DataFrame:
    """One row a case, measure and pair of curves: the difference first - second, and its paired tests by seed.

    `t_p` and `wilcoxon_p` are two-sided, `t_holm` and `wilcoxon_holm` corrected for all pairs of the case and measure
    (Holm, 1979). `seeds_needed`: with how many pairs a t test at 5% would see this difference with 80% probability.
    """
    columns = [*COMBINATION, *PAIR_COLUMNS]
    return pd.DataFrame([case.where | row for case in found for row in case.pairs], columns=columns)
