"""What stopping rules save and cost, as a table."""

import pandas as pd

from al_runner.analysis.table.metrics import ERROR, Metric
from al_runner.analysis.table.names import case_words
from al_runner.analysis.tell.shown import Shown
from al_runner.analysis.tell.text import number, signed
from al_runner.record.run_id import COMBINATION


def shown_stopping(table: pd.DataFrame, metric: Metric = ERROR) -> list[Shown]:
    """`stopping` as shown, one table for each case."""
    head = ("strategy", "rule", "runs stopped", "labels at the stop", "labels saved", f"{metric.words} lost")
    note = (
        "Every run went on to the end of its budget; a rule is judged at the round in which it first says stop. Labels "
        f"saved: the share of the budget that is then not bought. Lost: the {metric.words} at the stop minus the final "
        f"one of the whole budget, {metric.points}. A run that a rule does not stop saves and loses nothing. Mean ± "
        "95% t half-width over seeds."
    )
    tables = []
    for key, part in table.groupby(list(COMBINATION), sort=False):
        rows = tuple(
            (
                str(row["curve"]),
                str(row["rule"]).replace("_", " "),
                f"{row['stopped']}/{row['seeds']}",
                number(row["labels"], row["labels_half"]),
                f"{number(100 * row['saved'], 100 * row['saved_half'])}%",
                signed(metric, row["lost"], row["lost_half"]),
            )
            for row in part.to_dict("records")
        )
        tables.append(Shown("Stopping rules", case_words(key), head, rows, note, left=2))
    return tables
