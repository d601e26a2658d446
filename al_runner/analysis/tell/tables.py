"""The tables of al-compare as they are shown, rounded. The CSV files hold the full numbers."""

from collections.abc import Callable, Sequence
from functools import partial
from math import isnan
from typing import Any

import pandas as pd

from al_runner.analysis.table.metrics import ERROR, Metric
from al_runner.analysis.table.names import case_words
from al_runner.analysis.tell.shown import Shown
from al_runner.analysis.tell.text import amount, number, seconds, seeds_text, short_p, signed
from al_runner.record.run_id import COMBINATION

Row = dict[Any, Any]
MEAN_NOTE = "Mean ± 95% t half-width over n seeds{}."
PAIRED = "; differences are paired by seed and {}, p by t tests, corrected by Holm's method for all comparisons with {}"


def shown_results(table: pd.DataFrame, baseline: str, metric: Metric = ERROR) -> list[Shown]:
    """`results` as shown, one table for each case."""
    words = metric.words
    errors = (f"final {words}", "last round", f"mean {words} (area)")
    gaps = (f"final - {baseline}", "p", f"area - {baseline}", "p")
    title = "Errors" if metric == ERROR else f"Compared by {words}"
    costs = ("run time", "select a round", "energy")
    head = ("strategy", "rank", "n", "labels", *errors, *gaps, "final error, 95% by test set", *costs)
    note = partial(_results_note, baseline=baseline, metric=metric)
    return _by_case(table, partial(_result, metric=metric), head, title, note)


def _results_note(part: pd.DataFrame, baseline: str, metric: Metric) -> str:
    by_test = [_test_note(part)] if metric == ERROR else []
    paired = PAIRED.format(metric.points, baseline) if part["final_minus_baseline"].notna().any() else ""
    return " ".join([_final_note(part, metric), *_area_note(part, metric), *by_test, MEAN_NOTE.format(paired)])


def _final_note(part: pd.DataFrame, metric: Metric) -> str:
    rounds = int(part["final_rounds"].max())
    return f"Final {metric.words}: {'the last round' if rounds == 1 else f'mean of the last {rounds} rounds'}."


def _area_note(part: pd.DataFrame, metric: Metric) -> list[str]:
    spans = part[["start", "labelled"]].dropna() if "start" in part else part[:0]  # ground truth has no area
    if spans.empty:
        return []
    start, end = (int(count) for count in spans.iloc[0])
    return [f"Mean {metric.words}: from {start:,} to {end:,} labels."]


def _test_note(part: pd.DataFrame) -> str:
    images = part["test_images"].dropna().unique()
    if len(images) == 0:
        return "The size of the test set is not recorded, so the interval by test set is not shown."
    counts = " or ".join(f"{int(count):,}" for count in sorted(images))
    return f"By test set: Wilson's interval of an error that is measured on {counts} images."


def _result(row: Row, metric: Metric) -> tuple[str, ...]:
    gaps = [
        cell
        for name in ("final_minus_baseline", "area_minus_baseline")
        for cell in (signed(metric, row[name], row[f"{name}_half"]), short_p(row[f"{name}_p"]))
    ]
    energy = row["energy_joules"]
    return (
        row["curve"],
        "-" if pd.isna(row["rank"]) else str(row["rank"]),
        str(row["seeds"]),
        f"{row['labelled']:,}",
        amount(metric, row["final"], row["final_half"]),
        amount(metric, row["last"], row["last_half"]) if row["final_rounds"] > 1 else "-",
        amount(metric, row["area"], row["area_half"]),
        *gaps,
        _ends(row["final_test_low"], row["final_test_high"]),
        seconds(row["wall_seconds"]),
        seconds(row["select_seconds"]),
        "-" if isnan(energy) else f"{energy / 3600:.1f} Wh",
    )


def _ends(low: float, high: float) -> str:
    return "-" if isnan(low) else f"{100 * low:.2f} to {100 * high:.2f}%"


def shown_labels(table: pd.DataFrame, baseline: str, metric: Metric = ERROR) -> list[Shown]:
    """`labels_needed` for errors in percent as shown, one table for each case: labels and savings for each target."""
    tables = []
    for key, part in table[table["target"].notna()].groupby(list(COMBINATION), sort=False):
        names = [f"{metric.scale * target:g}{'%' if metric.share else ''}" for target in part["target"].unique()]
        head = ("strategy", *(cell for name in names for cell in (f"to {name}", "saves")))
        rows = []
        for curve, own in part.groupby("curve", sort=False):
            cells = [cell for row in own.to_dict("records") for cell in _needed(row)]
            rows.append((str(curve), *cells))
        note = (
            f"Labels at the first round with that {metric.words} or less, and the share of {baseline}'s labels that "
            "this saves, paired by seed. 2/5: two runs of five reach it, so there is no mean."
        )
        tables.append(Shown("Labels needed", case_words(key), head, tuple(rows), note))
    return tables


def _needed(row: Row) -> tuple[str, str]:
    if row["reached"] < row["seeds"] or not row["seeds"]:
        return f"{row['reached']}/{row['seeds']}", "-"
    saving = number(100 * row["saving"], 100 * row["saving_half"]) if row["pairs"] else "-"
    saving += "" if saving == "-" else "%"
    return number(row["labels"], row["labels_half"]), saving


def shown_tests(table: pd.DataFrame, baseline: str, metric: Metric = ERROR) -> list[Shown]:
    """`paired_tests` of the final error as shown, one table for each case; pairs need two shared seeds."""
    head = ("first", "second", "pairs", "first - second", "t", "t, Holm", "Wilcoxon", "Wilcoxon, Holm", "seeds for 80%")
    note = (
        f"Two-sided p values of paired tests by seed; Holm: corrected for all pairs with {baseline}, or else for all "
        "other pairs. With S pairs Wilcoxon's can't fall below 2 / 2^S. Last column: seeds with which a t test would "
        "see this difference with 80% probability, if it were the only comparison."
    )
    final = table[(table["measure"] == "final") & (table["pairs"] > 1)]
    title = f"Differences of the final {metric.words}, {metric.points}"
    return _by_case(final, partial(_test, metric=metric), head, title, lambda _: note, left=2)


def _test(row: Row, metric: Metric) -> tuple[str, ...]:
    difference = signed(metric, row["mean"], row["half"])
    p = (short_p(row[name]) for name in ("t_p", "t_holm", "wilcoxon_p", "wilcoxon_holm"))
    return row["first"], row["second"], str(row["pairs"]), difference, *p, seeds_text(row["seeds_needed"])


def shown_penalties(matrix: pd.DataFrame, cases: int) -> list[Shown]:
    """`penalties` as shown; empty if there is no entry."""
    matrix = matrix.dropna(axis="columns", how="all").dropna(axis="index", how="all")
    if matrix.empty:
        return []
    rows = tuple(
        (str(name), *("-" if isnan(v) else f"{v:.2f}" for v in values)) for name, *values in matrix.itertuples()
    )
    note = (
        f"The share of label counts at which the row beats the column (paired t test at 5%), summed over {cases} "
        f"{'case' if cases == 1 else 'cases'} (Ash et al., 2020). The last row is a column's mean: low for a strategy "
        "that is seldom beaten."
    )
    return [Shown("Pairwise penalties", "", ("beats", *map(str, matrix.columns)), rows, note)]


def shown_ranks(table: pd.DataFrame, metric: Metric = ERROR) -> list[Shown]:
    """`average_ranks` as shown; empty if there are no ranks."""
    if table.empty:
        return []
    first = table.iloc[0]
    p, critical = first["friedman_p"], first["critical_difference"]
    friedman = "" if isnan(p) else f", Friedman p = {short_p(p)}"
    note = (
        f"Over {first['cases']} cases{friedman}. Ranks that differ by less than {critical:.2f} are not told apart "
        "(Nemenyi at 5%; Demsar, 2006)."
    )
    rows = tuple((str(row["curve"]), f"{row['rank']:.2f}") for row in table.to_dict("records"))
    return [Shown(f"Average rank by final {metric.words}", "", ("strategy", "rank"), rows, note)]


def _by_case(
    table: pd.DataFrame,
    cells: Callable[[Row], tuple[str, ...]],
    head: Sequence[str],
    name: str,
    note: Callable[[pd.DataFrame], str],
    left: int = 1,
) -> list[Shown]:
    """A table for each case, without the columns that have nothing to show; `note` is made from the case's rows."""
    tables = []
    for key, part in table.groupby(list(COMBINATION), sort=False):
        rows = [cells(row) for row in part.to_dict("records")]
        keep = [place for place in range(len(head)) if place < 2 or any(row[place] != "-" for row in rows)]
        kept = tuple(tuple(row[place] for place in keep) for row in rows)
        tables.append(Shown(name, case_words(key), tuple(head[place] for place in keep), kept, note(part), left))
    return tables
