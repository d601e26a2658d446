"""What a strategy saved: labels up to the baseline's final error, and what they would have cost."""

from math import isnan
from typing import Any

import pandas as pd

from al_runner.analysis.table.metrics import ERROR, Metric
from al_runner.analysis.table.names import case_words
from al_runner.analysis.tell.shown import Shown
from al_runner.analysis.tell.text import number
from al_runner.record.run_id import COMBINATION

Row = dict[Any, Any]
NOT_ALL = "not in every seed"


def shown_saved(table: pd.DataFrame, baseline: str, cost: float | None = None, metric: Metric = ERROR) -> list[Shown]:
    """One table for each case from `labels_needed`: labels to the baseline's final error, and what that saves.

    `cost` is the price of a label; with it there is a column of money.
    """
    own = table[table["target"].isna()]
    head = ["strategy", f"labels to {baseline}'s final {metric.words}", "fewer labels", "share saved", "pairs"]
    note = (
        f"Labels at the first round with {baseline}'s final {metric.words} in the same seed, or less; mean ± 95% t "
        f"half-width over seeds. Savings are paired by seed: {baseline}'s labels to that {metric.words} minus the "
        "strategy's. If some seeds don't reach it, there is no mean."
    )
    if cost is not None:
        head.insert(4, "money saved")
        note += f" Money: fewer labels times {cost:g} for each."
    tables = []
    for key, part in own.groupby(list(COMBINATION), sort=False):
        rows = tuple(_row(row, row["curve"] == baseline, cost) for row in part.to_dict("records"))
        tables.append(Shown("What it saved", case_words(key), tuple(head), rows, note))
    return tables


def _row(row: Row, itself: bool, cost: float | None) -> tuple[str, ...]:
    labels = number(row["labels"], row["labels_half"]) if row["reached"] == row["seeds"] and row["seeds"] else NOT_ALL
    fewer, share = ("-" if isnan(row["fewer"]) else text for text in _savings(row))
    money = [] if cost is None else ["-" if isnan(row["fewer"]) else _money(row["fewer"], row["fewer_half"], cost)]
    return (str(row["curve"]), labels, fewer, share, *money, "-" if itself else str(row["pairs"]))


def _savings(row: Row) -> tuple[str, str]:
    return number(row["fewer"], row["fewer_half"]), f"{number(100 * row['saving'], 100 * row['saving_half'])}%"


def _money(mean: float, half: float, cost: float) -> str:
    text = f"{cost * mean:,.2f}"
    return text if isnan(half) else f"{text} ± {cost * half:,.2f}"
