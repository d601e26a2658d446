"""Reads the rows of CSV files, checks them cell by cell, and completes the tables of other programs."""

import csv
import os
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from typing import Any

from al_runner.errors import UsageError
from al_runner.record.run_id import UPPER_LINE, RunId
from al_runner.record.views import RANKING, STOPPING
from al_runner.system.foreign import TABLE, WHOLE, content
from al_runner.system.text import one_line

BASELINE = "random"  # the strategy that the others are compared with
KEYS = RunId._fields
RATES = ("test_error", "test_accuracy", "best_test_error", "val_error", "train_error")
COLUMNS = ("round", "labelled", *RATES, "test_nll", "steps", "fit_seconds", "select_seconds", "classes")
# Not measured by older versions.
MORE = ("test_balanced_accuracy", "test_macro_f1", "test_brier", "test_ece", *RANKING)
# Columns that are kept if a run has a number there.
EXTRA = ("energy_joules", "pool_images", "test_images", *MORE, *STOPPING, UPPER_LINE)
UNKNOWN = ("select_seconds", "classes", *EXTRA)  # may be blank
WHOLE_OR_BLANK = ("classes", "pool_images", "test_images")
COUNTS = ("seed", "round", "labelled", "steps")
TIDY = (*KEYS, *COLUMNS, "folder")
MOST = 2**53  # a count or a measurement of this size or more is damage: a float holds whole numbers exactly up to here
# The beginning of a text that a spreadsheet would compute, or that looks as if `as_csv` had marked it.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
MOST_BRIER = 2  # of the multi-class Brier score
LONG = 60  # characters of a cell that a message shows
NEEDED = ("dataset", "strategy", "seed", "labelled", "test_error")  # columns of another program's results.csv
RESTORE = "restore it from a copy, or move it away"  # what to do with a damaged file of al-run
CORRECT = (  # what to do with a damaged results.csv, which may be another program's
    "restore it from a copy, or correct it: a row for each run and round, with the columns dataset, strategy, seed, "
    "labelled and test_error (a fraction), and a column folder if runs have the same names"
)

Row = dict[str, Any]
Columns = dict[str, list[Any]]
Parser = Callable[[str], Any]


def completed(rows: Sequence[Row]) -> list[Row]:
    """The rows of another program's table with all columns of TIDY. New values are counted, computed, empty or NaN.

    A run without a folder gets the one that al-run would give it.
    """
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        for key in KEYS:
            row.setdefault(key, "")
        row["folder"] = row.get("folder") or str(RunId.of(row).folder)  # a blank cell is no folder either
        runs.setdefault(run_key(row), []).append(row)
    for run in runs.values():
        if any("round" not in row for row in run):
            run.sort(key=lambda row: row["labelled"])
        best = 1.0
        for round_, row in enumerate(run):
            best = min(best, row["test_error"])
            known = {"round": round_, "test_accuracy": 1 - row["test_error"], "best_test_error": best, "steps": 0}
            row.update({**dict.fromkeys(COLUMNS, nan), **known, **row})
    return [row for run in runs.values() for row in run]


def run_key(row: Row) -> tuple[Any, ...]:
    """The values that all rows of one run in one folder share."""
    return tuple(row[key] for key in (*KEYS, "folder"))


def read_csv(file: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """A file's rows: `columns`, which it must have, and those of `optional` that it has; these may have empty cells.

    Raises UsageError as `read_columns`.
    """
    own, fix = not optional, CORRECT if optional else RESTORE
    wanted = {name: _parser(name, own) for name in columns if name != "classes"}
    more = {name: _parser(name, own) for name in (*optional, *EXTRA) if name not in columns}
    values = read_columns(file, wanted, more | {"classes": _parser("classes", own)}, fix)
    if "classes" in columns and "classes" not in values:  # a run of 0.1.0
        values["classes"] = [nan] * len(values["round"])
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def read_columns(
    file: Path, wanted: Mapping[str, Parser], more: Mapping[str, Parser] | None = None, fix: str = RESTORE
) -> Columns:
    """The columns of a CSV file that are `wanted`, and those of `more` that it has, each read by its parser.

    `fix` is the end of errors: what to do with a wrong file. Raises UsageError if a wanted column is missing, or if a
    parser raises ValueError; FileNotFoundError if there is no file.
    """
    try:
        text = StringIO(content(file, TABLE).decode("utf-8-sig"), newline="")  # spreadsheets write a mark first
        header, *lines = [line for line in csv.reader(text, strict=True) if line] or [[]]
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{file} can't be read ({one_line(error)}); {fix}") from error
    missing = [name for name in wanted if name not in header]
    if missing and len(header) == 1 and ";" in header[0]:
        raise UsageError(f"{file} has semicolons between its cells, as spreadsheets write them; save it with commas")
    if missing:
        raise UsageError(f"{file} has no column {missing[0]}; {fix}")
    wrong = next((line for line, cells in enumerate(lines, start=2) if len(cells) != len(header)), 0)
    if wrong:
        raise UsageError(f"{file}, line {wrong}: it has more or fewer cells than the header; {fix}")
    cells = dict(zip(header, zip(*lines, strict=True) if lines else [()] * len(header), strict=True))
    parsers = {name: parse for name, parse in {**wanted, **(more or {})}.items() if name in cells}
    return {name: _parsed(name, cells[name], parse, file, fix) for name, parse in parsers.items()}


def _parsed(name: str, cells: Sequence[str], parse: Parser, file: Path, fix: str) -> list[Any]:
    """The values of a column. Raises UsageError that names the first wrong cell."""
    values: list[Any] = []
    try:
        values.extend(map(parse, cells))
    except ValueError:
        wrong = f"{file}, line {len(values) + 2}: {name} is {shortened(cells[len(values)])}"
        raise UsageError(f"{wrong}; {fix}") from None
    return values


def _parser(name: str, own: bool) -> Parser:
    if name in COUNTS:
        whole = _seed if name == "seed" else count
        return whole if own else lambda text: whole(text.removesuffix(".0"))  # as pandas may write it
    if name in WHOLE_OR_BLANK:
        return _count_or_nan
    if name in UNKNOWN:
        return _number_or_nan
    if name in NEEDED or own:
        return (_loss if name == "test_nll" else number) if name in COLUMNS else as_written
    return _number_or_nan if name in COLUMNS else as_written


def count(text: str) -> int:
    """A whole number from 0 to below 2^53. Raises ValueError for any other text."""
    value = int(text)
    if not 0 <= value < MOST:
        raise ValueError("no count")
    return value


def number(text: str) -> float:
    """A measurement: a finite number between -2^53 and 2^53. Raises ValueError for any other text."""
    value = float(text)
    if not -MOST < value < MOST:  # NaN fails this, too
        raise ValueError("no measurement")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if value not in WHOLE:
        raise ValueError("beyond 64 bits")
    return value


def _count_or_nan(text: str) -> float:
    return float(count(text.removesuffix(".0"))) if text else nan


def _number_or_nan(text: str) -> float:
    return number(text) if text else nan


def _loss(text: str) -> float:
    """A loss, which may be infinite. Raises ValueError for NaN and for a text that is no number."""
    value = float(text)
    if isnan(value):
        raise ValueError("NaN")
    return value


def shortened(cell: str) -> str:
    """A cell, short enough for a message."""
    return repr(cell) if len(cell) < LONG else f"{cell[:LONG]!r} and {len(cell) - LONG} more characters"


def require_sound(rows: Sequence[Row], where: str, fix: str = RESTORE) -> None:
    """Raises UsageError unless the rows are rounds 0, 1, ... of one run, with a growing labelled set and sound rates.

    Rates are in [0, 1]; `best_test_error` is the lowest so far. `where` is the beginning of the error, and `fix` the
    end of some.
    """
    best = 1.0
    for expected, row in enumerate(rows):
        if row["round"] != expected:
            raise UsageError(f"{where}: round {row['round']} is in the place of {expected}; {fix}")
        wrong = next((name for name in (*RATES, *MORE) if not _possible(name, row.get(name, nan))), None)
        if wrong:
            most = MOST_BRIER if wrong == "test_brier" else 1
            raise UsageError(
                f"{where}: {wrong} is {row[wrong]} in round {expected}; it must be a fraction in [0, {most}]"
            )
        best = min(best, row["test_error"])
        if abs(row["best_test_error"] - best) > 1e-9:
            raise UsageError(f"{where}: best_test_error is not the lowest test_error so far in round {expected}")
    if any(after["labelled"] <= before["labelled"] for before, after in pairwise(rows)):
        raise UsageError(f"{where}: labelled does not grow from round to round; {fix}")


def _possible(name: str, value: float) -> bool:
    return isnan(value) or 0 <= value <= (MOST_BRIER + 1e-9 if name == "test_brier" else 1)


def read_rounds(folder: Path) -> list[Row]:
    """The rows of a run without what tells it from others, none before its first finished round."""
    file = folder / "rounds.csv"
    if not os.path.lexists(file):
        return []
    rows = read_csv(file, COLUMNS)
    require_sound(rows, str(file))
    return rows


def as_written(cell: str) -> str:
    """A text of a table as it was before `files.as_csv`."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
