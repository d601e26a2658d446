"""Run folders, or the results.csv made of them, as one tidy table."""

import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from al_runner.errors import UsageError

COMBINATION = ("dataset", "model", "learner", "training", "budget")  # what one figure holds constant
KEYS = (*COMBINATION, "strategy", "name", "seed")
RATES = ("test_error", "test_accuracy", "best_test_error", "val_error", "train_error")
COLUMNS = ("round", "labelled", *RATES, "test_nll", "steps", "fit_seconds", "select_seconds", "classes")
UNKNOWN = ("select_seconds", "classes")  # of a purchase that an interrupted process made; before 0.2
COUNTS = ("seed", "round", "labelled", "steps")
TIDY = (*KEYS, *COLUMNS, "folder")

Row = dict[str, Any]


def load(directory: Path) -> pd.DataFrame:
    """Every run under `directory`, one row a run and round, columns TIDY, sorted by them.

    Errors are fractions, seconds are per round, `classes` are those labelled; what UNKNOWN names may be NaN. A
    directory without run folders is read from its results.csv. UsageError where there is no run, or a file is damaged
    or foreign.
    """
    directory = Path(directory)
    folders = run_folders(directory)
    results = directory / "results.csv"
    if folders:
        rows = [row for folder in folders for row in read_run(folder, directory)]
    elif results.is_file():
        rows = _read_results(results)
    else:
        raise UsageError(
            f"{directory} holds no run: a run folder has a config.yaml and a rounds.csv, "
            "and al-run makes one (e.g. al-run strategy=random seed=0)"
        )
    if not rows:
        raise UsageError(f"{directory} holds {len(folders)} runs, none with a finished round yet; wait for the first")
    frame = table(rows)
    _require_distinct(frame, directory)
    return frame


def run_folders(directory: Path) -> list[Path]:
    """Folders at any depth that hold an acquired.csv or a rounds.csv, hidden ones left out, sorted."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory; give one that al-run wrote into, such as outputs")
    files = [file for name in ("acquired.csv", "rounds.csv") for file in directory.rglob(name)]
    folders = {file.parent for file in files}
    return sorted(f for f in folders if not any(part.startswith(".") for part in f.relative_to(directory).parts))


def read_run(folder: Path, root: Path) -> list[Row]:
    """One run's rows, none before its first finished round; `folder` is given relative to `root`."""
    run = read_config(folder)["run"]
    file = folder / "rounds.csv"
    if not file.exists():
        return []
    where = {**{key: run[key] for key in KEYS}, "folder": folder.relative_to(root).as_posix()}
    rows = [where | row for row in _read_csv(file, COLUMNS)]
    _require_sound(rows, str(file))
    return rows


def read_config(folder: Path) -> Mapping[str, Any]:
    """The run's configuration, whose `run` mapping holds KEYS; UsageError where it does not."""
    file = folder / "config.yaml"
    if not file.exists():
        raise UsageError(f"{folder / 'rounds.csv'} has no config.yaml beside it; restore it, or move the folder away")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{file} can't be read ({_one_line(error)}); restore it, or move it away") from error
    run = config.get("run") if isinstance(config, Mapping) else None
    if not isinstance(run, Mapping):
        raise UsageError(f"{file} has no mapping `run`, so al-run did not write it; move it away")
    for key in KEYS:
        kind = int if key == "seed" else str
        if type(run.get(key)) is not kind:
            raise UsageError(f"{file}: run.{key} is {run.get(key)!r}, not {kind.__name__}; restore it, or move it away")
    return config  # type: ignore[no-any-return]


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows -> the tidy table, in an order that does not depend on theirs."""
    return pd.DataFrame(rows, columns=list(TIDY)).sort_values([*KEYS, "round", "folder"], ignore_index=True)


def curve_names(frame: pd.DataFrame) -> "pd.Series[str]":
    """What each row's curve is called: the strategy, and the name of its variant where it has one."""
    names = [f"{s}-{n}" if n else s for s, n in zip(frame["strategy"], frame["name"], strict=True)]
    return pd.Series(names, index=frame.index, dtype=object)


def _read_results(file: Path) -> list[Row]:
    rows = _read_csv(file, TIDY)
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        runs.setdefault(tuple(row[key] for key in (*KEYS, "folder")), []).append(row)
    for run in runs.values():
        _require_sound(run, f"{file} (the run from {run[0]['folder']})")
    return rows


def _read_csv(file: Path, columns: Sequence[str]) -> list[Row]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows, header = list(reader), reader.fieldnames or ()
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{file} can't be read ({_one_line(error)}); restore it from a copy") from error
    missing = [name for name in columns if name not in (*header, "classes")]
    if missing:
        raise UsageError(f"{file} has no column {missing[0]}; restore it from a copy, or move it away")
    return [_typed(row, columns, f"{file}, line {line}") for line, row in enumerate(rows, start=2)]


def _typed(row: Mapping[str, str], columns: Sequence[str], where: str) -> Row:
    if None in row or None in row.values():
        raise UsageError(f"{where}: the fields are not those of the header; restore the file from a copy")
    typed: Row = {}
    for name in columns:
        try:
            typed[name] = _parser(name)(row.get(name, ""))
        except ValueError:
            raise UsageError(f"{where}: {name} is {row.get(name)!r}; restore the file from a copy") from None
    return typed


def _parser(name: str) -> Callable[[str], Any]:
    if name in COUNTS:
        return int
    if name in UNKNOWN:
        return lambda text: _number(text) if text else nan
    return _number if name in COLUMNS else str


def _number(text: str) -> float:
    value = float(text)
    if isnan(value):
        raise ValueError("NaN")
    return value


def _require_sound(rows: Sequence[Row], where: str) -> None:
    """UsageError unless one run's rows are rounds 0, 1, ... of a growing labelled set, with rates that are rates."""
    best = 1.0
    for expected, row in enumerate(rows):
        if row["round"] != expected:
            raise UsageError(f"{where}: round {row['round']} stands where {expected} should; restore it from a copy")
        wrong = next((name for name in RATES if not 0 <= row[name] <= 1), None)
        if wrong:
            raise UsageError(f"{where}: {wrong} is {row[wrong]} in round {expected}; it must be a fraction in [0, 1]")
        best = min(best, row["test_error"])
        if abs(row["best_test_error"] - best) > 1e-9:
            raise UsageError(f"{where}: best_test_error is not the lowest test_error so far in round {expected}")
    if any(after["labelled"] <= before["labelled"] for before, after in pairwise(rows)):
        raise UsageError(f"{where}: labelled does not grow from round to round; restore it from a copy")


def _require_distinct(frame: pd.DataFrame, directory: Path) -> None:
    """UsageError where two folders hold the same run: its seed would count twice in a mean."""
    identity = [*COMBINATION, "curve", "seed"]
    runs = frame.assign(curve=curve_names(frame)).drop_duplicates([*identity, "folder"])
    same = runs[runs.duplicated(identity, keep=False)]
    if len(same):
        first = same.iloc[0]
        twins = same[(same[identity] == first[identity]).all(axis=1)]
        raise UsageError(
            f"{' and '.join(twins['folder'])} in {directory} hold the same run ({first['curve']}, seed "
            f"{first['seed']}); move all but one away, or plot a folder that holds only one"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
