"""al-plot's table as the terminal shows it."""

from collections.abc import Sequence
from math import isnan

import pandas as pd

from al_runner.analysis.stats.intervals import Interval
from al_runner.record.run_id import COMBINATION

HEAD = (
    "strategy",
    "n",
    "labels",
    "final error",
    "mean error",
    "final - random",
    "mean - random",
    "fit s",
    "select s",
)


def as_text(summary: pd.DataFrame) -> str:
    """The summary for a terminal: errors in percent with their 95% half-widths, one block a combination."""
    blocks = []
    for key, part in summary.groupby(list(COMBINATION), sort=True):
        lines = [[str(row["curve"]), *_cells(row)] for _, row in part.iterrows()]
        blocks.append(
            "\n".join(
                [f"{', '.join(map(str, key))} (percent, ± 95% half-width over n seeds)", *_aligned([HEAD, *lines])]
            )
        )
    return "\n\n".join(blocks)


def _cells(row: "pd.Series[float]") -> list[str]:
    columns = ("final", "area", "final_minus_random", "area_minus_random")
    percent = [_percent(Interval(row[name], row[f"{name}_half"]), signed="random" in name) for name in columns]
    labels = "-" if pd.isna(row["labelled"]) else f"{int(row['labelled']):,}"
    return [str(row["seeds"]), labels, *percent, _seconds(row["fit_seconds"]), _seconds(row["select_seconds"])]


def _percent(value: Interval, signed: bool) -> str:
    if isnan(value.mean):
        return "-"
    mean = f"{100 * value.mean:{'+' if signed else ''}.2f}"
    return mean if isnan(value.half) else f"{mean} ± {100 * value.half:.2f}"


def _seconds(value: float) -> str:
    return "-" if isnan(value) else f"{value:.2f}"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
