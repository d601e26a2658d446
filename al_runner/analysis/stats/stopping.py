"""What stopping rules save and cost: labels and error at the round in which a rule first says stop.

The runs went on to the end of their budget (stopping=recorded), so every rule is judged by the same runs.
"""

from collections.abc import Sequence

import pandas as pd

from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.intervals import interval, mean_columns
from al_runner.analysis.table.metrics import LOSS
from al_runner.record.run_id import COMBINATION
from al_runner.record.views import RULES

MEASURED = ("labels", "saved", "lost")
COLUMNS = (*COMBINATION, "curve", "rule", "seeds", "stopped", *(f"{m}{end}" for m in MEASURED for end in ("", "_half")))


def stopping(case_list: Sequence[Case]) -> pd.DataFrame:
    """One row for each case, curve and rule, over the finished runs that recorded the rule; empty if there are none.

    `stopped` of `seeds` runs are ended by the rule within the budget. `labels` are those at the stop, `saved` the share
    of the budget that is then not bought, and `lost` the loss at the stop minus the final one of the whole budget. Each
    is a mean with a 95% t half-width. A run that the rule does not end counts with the whole budget: it saves and loses
    nothing.
    """
    rows = []
    for case in case_list:
        for name, part in case.parts.items():
            finals = case.values(name, "final")
            for rule, column in RULES.items():
                runs = part[part[column].notna()] if column in part else part[:0]
                each = [_run(run, column, case.budget.end, finals[seed]) for seed, run in runs.groupby("seed")]
                if each:
                    rows.append({**case.where, "curve": name, "rule": rule, **_summed_up(pd.DataFrame(each))})
    return pd.DataFrame(rows, columns=COLUMNS)


def _run(run: pd.DataFrame, column: str, end: int, final: float) -> dict[str, float]:
    """What a rule does to one run."""
    said = run[(run[column] == 1) & (run["labelled"] < end)].sort_values("labelled")
    if said.empty:
        return {"stopped": 0, "labels": end, "saved": 0.0, "lost": 0.0}
    first = said.iloc[0]
    return {
        "stopped": 1,
        "labels": first["labelled"],
        "saved": 1 - first["labelled"] / end,
        "lost": first[LOSS] - final,
    }


def _summed_up(each: pd.DataFrame) -> dict[str, float]:
    row: dict[str, float] = {"seeds": len(each), "stopped": int(each["stopped"].sum())}
    for measure in MEASURED:
        row |= mean_columns(measure, interval(each[measure]))
    return row
