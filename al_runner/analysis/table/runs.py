"""Run folders, or the results.csv made of them, as one tidy table."""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from al_runner.analysis.table.names import curve_names
from al_runner.analysis.table.rows import (
    COLUMNS,
    EXTRA,
    KEYS,
    NEEDED,
    TIDY,
    Row,
    completed,
    one_line,
    read_csv,
    require_sound,
    run_key,
)
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION, RunId


def load(directory: Path) -> pd.DataFrame:
    """Every run under `directory`, one row a run and round, columns TIDY, sorted by them.

    Errors are fractions, seconds are per round, `classes` are those labelled; what UNKNOWN names may be NaN. A
    directory without run folders is read from its results.csv; one made elsewhere needs only the columns NEEDED, a row
    a run and round: other measurements are then NaN, rounds are counted, other keys empty. UsageError where there is no
    run, or a file is damaged or foreign.
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
    run = RunId.of(read_config(folder)["run"])
    file = folder / "rounds.csv"
    if not file.exists():
        return []
    where = {**run._asdict(), "folder": folder.relative_to(root).as_posix()}
    rows = [where | row for row in read_csv(file, COLUMNS)]
    require_sound(rows, str(file))
    return rows


def read_config(folder: Path) -> Mapping[str, Any]:
    """The run's configuration, whose mapping `run` is a RunId; UsageError where it is not."""
    file = folder / "config.yaml"
    if not file.exists():
        raise UsageError(f"{folder / 'rounds.csv'} has no config.yaml beside it; restore it, or move the folder away")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{file} can't be read ({one_line(error)}); restore it, or move it away") from error
    run = config.get("run") if isinstance(config, Mapping) else None
    if not isinstance(run, Mapping):
        raise UsageError(f"{file} has no mapping `run`, so al-run did not write it; move it away")
    try:
        RunId.of(run)
    except UsageError as error:
        raise UsageError(f"{file}: {error}; restore it, or move it away") from None
    return config  # type: ignore[no-any-return]


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows -> the tidy table, in an order that does not depend on theirs."""
    extra = [name for name in EXTRA if not all(isnan(row.get(name, nan)) for row in rows)]
    return pd.DataFrame(rows, columns=[*TIDY, *extra]).sort_values([*KEYS, "round", "folder"], ignore_index=True)


def _read_results(file: Path) -> list[Row]:
    rows = completed(read_csv(file, NEEDED, TIDY))
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        runs.setdefault(run_key(row), []).append(row)
    for run in runs.values():
        require_sound(run, f"{file} (the run from {run[0]['folder']})")
    return rows


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
