"""The table of a figure: final errors, areas and differences to random sampling."""

from collections.abc import Sequence
from math import isnan

import pandas as pd

from al_runner.analysis.curves import Interval, by_seed, interval, mean_error, paired_difference, split_by_curve
from al_runner.analysis.runs import BASELINE, COMBINATION

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


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a combination and curve; errors are fractions, `_half` the 95% half-width, seconds are medians a round.

    `final` is the test error at the last label count that all seeds have, `area` the `mean_error` up to there.
    """
    rows = []
    for key, runs in frame.groupby(list(COMBINATION), sort=True):
        where = dict(zip(COMBINATION, key, strict=True))
        parts = split_by_curve(runs)
        rows += [where | {"curve": name} | _measures(name, part, parts.get(BASELINE)) for name, part in parts.items()]
    return pd.DataFrame(rows)


def _measures(name: str, runs: pd.DataFrame, baseline: pd.DataFrame | None) -> dict[str, float | int | None]:
    errors = by_seed(runs, "test_error")
    final = interval(errors.iloc[-1] if len(errors) else [])
    area = interval(mean_error(errors) if len(errors) else [])
    final_gap = area_gap = interval([])
    compared = baseline is not None and name != BASELINE and not (runs["strategy"] == "full").all()
    if compared and baseline is not None:
        final_gap, area_gap = paired_difference(runs, baseline)
    later = runs[runs["round"] > 0]  # the initial set is drawn, not selected
    return {
        "seeds": runs["seed"].nunique(),
        "labelled": int(errors.index[-1]) if len(errors) else None,
        "final": final.mean,
        "final_half": final.half,
        "area": area.mean,
        "area_half": area.half,
        "pairs": len(set(runs["seed"]) & set(baseline["seed"])) if compared and baseline is not None else 0,
        "final_minus_random": final_gap.mean,
        "final_minus_random_half": final_gap.half,
        "area_minus_random": area_gap.mean,
        "area_minus_random_half": area_gap.half,
        "fit_seconds": runs["fit_seconds"].median(),
        "select_seconds": later["select_seconds"].median(),
    }


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
