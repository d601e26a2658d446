"""Rows of CSV files, checked cell by cell; and what foreign tables lack, filled in."""

import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from typing import Any

from al_runner.errors import UsageError
from al_runner.record.run_id import RunId

BASELINE = "random"  # what the others are held against
KEYS = RunId._fields
RATES = ("test_error", "test_accuracy", "best_test_error", "val_error", "train_error")
COLUMNS = ("round", "labelled", *RATES, "test_nll", "steps", "fit_seconds", "select_seconds", "classes")
UNKNOWN = ("select_seconds", "classes", "energy_joules", "pool_images", "test_images")  # may be blank
COUNTS = ("seed", "round", "labelled", "steps")
TIDY = (*KEYS, *COLUMNS, "folder")
EXTRA = ("energy_joules", "pool_images", "test_images")  # kept where one of the runs has a number there
NEEDED = ("dataset", "strategy", "seed", "labelled", "test_error")  # of a results.csv that was made elsewhere

Row = dict[str, Any]


def completed(rows: Sequence[Row]) -> list[Row]:
    """Rows of a foreign table with what TIDY has beyond them: counted, computed, empty or NaN."""
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        for key in KEYS:
            row.setdefault(key, "")
        row.setdefault("folder", str(RunId.of(row).folder))
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
    """What the rows of one run in one folder share."""
    return tuple(row[key] for key in (*KEYS, "folder"))


def read_csv(file: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """A file's rows: `columns`, which it must have, and those of `optional` that it has, where cells may be empty.

    UsageError where a column is missing or a cell is not what it should be.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows, header = list(reader), reader.fieldnames or ()
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{file} can't be read ({one_line(error)}); restore it from a copy") from error
    missing = [name for name in columns if name not in (*header, "classes")]
    if missing:
        raise UsageError(f"{file} has no column {missing[0]}; restore it from a copy, or move it away")
    kept = [*columns, *(name for name in (*optional, *EXTRA) if name in header and name not in columns)]
    return [_typed(row, kept, f"{file}, line {line}", own=not optional) for line, row in enumerate(rows, start=2)]


def _typed(row: Mapping[str, str], columns: Sequence[str], where: str, own: bool) -> Row:
    if None in row or None in row.values():
        raise UsageError(f"{where}: the fields are not those of the header; restore the file from a copy")
    typed: Row = {}
    for name in columns:
        try:
            typed[name] = _parser(name, own)(row.get(name, ""))
        except ValueError:
            raise UsageError(f"{where}: {name} is {row.get(name)!r}; restore the file from a copy") from None
    return typed


def _parser(name: str, own: bool) -> Callable[[str], Any]:
    if name in COUNTS:
        return int
    if name in UNKNOWN:
        return _number_or_nan
    if name in NEEDED or own:
        return _number if name in COLUMNS else str
    return _number_or_nan if name in COLUMNS else str


def _number_or_nan(text: str) -> float:
    return _number(text) if text else nan


def _number(text: str) -> float:
    value = float(text)
    if isnan(value):
        raise ValueError("NaN")
    return value


def require_sound(rows: Sequence[Row], where: str) -> None:
    """UsageError unless one run's rows are rounds 0, 1, ... of a growing labelled set, with rates that are rates."""
    best = 1.0
    for expected, row in enumerate(rows):
        if row["round"] != expected:
            raise UsageError(f"{where}: round {row['round']} stands where {expected} should; restore it from a copy")
        wrong = next((name for name in RATES if not (0 <= row[name] <= 1 or isnan(row[name]))), None)
        if wrong:
            raise UsageError(f"{where}: {wrong} is {row[wrong]} in round {expected}; it must be a fraction in [0, 1]")
        best = min(best, row["test_error"])
        if abs(row["best_test_error"] - best) > 1e-9:
            raise UsageError(f"{where}: best_test_error is not the lowest test_error so far in round {expected}")
    if any(after["labelled"] <= before["labelled"] for before, after in pairwise(rows)):
        raise UsageError(f"{where}: labelled does not grow from round to round; restore it from a copy")


def one_line(error: Exception) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split())
