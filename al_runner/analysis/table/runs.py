"""Run folders, or a results.csv, as one tidy table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import pandas as pd

from al_runner.analysis.table.names import curve_names
from al_runner.analysis.table.rows import (
    CORRECT,
    EXTRA,
    KEYS,
    NEEDED,
    TIDY,
    Row,
    completed,
    read_csv,
    read_rounds,
    require_sound,
    run_key,
)
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION, UPPER_LINE, RunId
from al_runner.record.state import NAME as STATE
from al_runner.system.foreign import folders_with, from_yaml

ROUNDS = ("acquired.csv", "rounds.csv")  # files of a run that has begun
READERS = ("folder", "npz", "embeddings")  # data sets that are a user's own files, at dataset.path
MOST_CURVES = 200  # in one figure and one comparison: readers can't distinguish more, and every pair is compared


class Contents(NamedTuple):
    """The sound runs of a directory, and what is wrong with the others."""

    frame: pd.DataFrame  # see `load`
    folders: Mapping[str, Path]  # of all runs, by their path below the directory
    configs: Mapping[str, Mapping[str, Any]]  # of the sound runs
    damaged: Sequence[str]  # a line for every run that is left out, which names the damaged file
    unbegun: Sequence[str] = ()  # paths of runs without any file of a round, such as those that failed at once

    @property
    def code(self) -> int:
        """A command's exit code: 1 if a run was left out, otherwise 0."""
        return int(bool(self.damaged))


def load(directory: Path) -> pd.DataFrame:
    """Every run below `directory`: one row for each run and round, with the columns TIDY, sorted by them.

    Errors are fractions, seconds are per round, and `classes` is the number of classes with a label. The columns
    UNKNOWN may be NaN. If the directory has no run folders, its results.csv is read. A results.csv of another program
    needs only the columns NEEDED: other measurements are then NaN, rounds are counted, and other keys are empty. Raises
    UsageError if there is no run, or if a file is damaged or was not written by al-run.
    """
    contents = find(directory)
    if contents.damaged:
        raise UsageError(contents.damaged[0])
    return contents.frame


def find(directory: Path) -> Contents:
    """As `load`, but leaves damaged runs out; raises UsageError if no run is sound."""
    directory = Path(directory)
    held = {folder.relative_to(directory).as_posix(): folder for folder in folders_with(directory, (*ROUNDS, STATE))}
    folders = {name: folder for name, folder in held.items() if any((folder / file).exists() for file in ROUNDS)}
    rows: list[Row] = []
    configs, damaged = dict[str, Mapping[str, Any]](), list[str]()
    for name, folder in folders.items():
        try:
            config = read_config(folder)
            rows += _rows(folder, name, config)
            configs[name] = config
        except UsageError as error:
            damaged.append(str(error))
    results = directory / "results.csv"
    if not folders and results.is_file():
        rows = _read_results(results)
    elif not folders:
        raise UsageError(
            f"{directory} holds no run: a run folder has a config.yaml and a rounds.csv, "
            "and al-run makes one (e.g. al-run strategy=random seed=0)"
        )
    if not rows and damaged:
        raise UsageError(damaged[0])
    if not rows:
        raise UsageError(f"{directory} holds {len(folders)} runs, none with a finished round yet; wait for the first")
    frame = table(rows)
    require_comparable(frame, str(directory))
    return Contents(frame, folders, configs, damaged, [name for name in held if name not in folders])


def out_folder(directories: Sequence[Path], contents: Contents, name: str) -> Path:
    """Where a command writes what it made of a directory: a folder `name` among the runs, or beside its results.csv.

    Raises UsageError if that folder is a link, because a results folder may come from a stranger, and if there are
    several directories.
    """
    if len(directories) > 1:
        raise UsageError("there are several folders of runs; say with --out DIR where the files go")
    (directory,) = directories
    folder = directory / name if contents.folders else directory
    if folder != directory and folder.is_symlink():
        raise UsageError(f"{folder} is a link to another folder; remove it, or choose another --out")
    return folder


def run_folders(directory: Path) -> list[Path]:
    """Folders at any depth that hold an acquired.csv or a rounds.csv, sorted; hidden folders are left out."""
    return folders_with(directory, ROUNDS)


def read_run(folder: Path, root: Path) -> list[Row]:
    """One run's rows, with its folder relative to `root`; none if no round is finished yet."""
    return _rows(folder, folder.relative_to(root).as_posix(), read_config(folder))


def _rows(folder: Path, name: str, config: Mapping[str, Any]) -> list[Row]:
    where: Row = {**identity(config)._asdict(), "folder": name}
    if config["run"].get(UPPER_LINE) is True:
        where[UPPER_LINE] = 1.0
    return [where | row for row in read_rounds(folder)]


def identity(config: Mapping[str, Any]) -> RunId:
    """The parts of a run's name. A data set of the user's own files has their name: photos, not folder.

    It keeps the name of its reader if a path says no name, or one that is no part of a run's name. Raises UsageError as
    `RunId.of`.
    """
    run = RunId.of(config["run"])
    reader, dash, more = run.dataset.partition("-")  # what follows says how the pool was changed
    dataset = config.get("dataset")
    path = dataset.get("path") if isinstance(dataset, Mapping) else None
    if reader not in READERS or not isinstance(path, str):
        return run
    name = PureWindowsPath(path)  # which may have slashes and backslashes
    own = name.name if reader == "folder" else name.stem
    if own in ("", ".."):
        return run
    try:
        return RunId.of({**run._asdict(), "dataset": f"{own}{dash}{more}"})
    except UsageError:
        return run


def read_config(folder: Path) -> Mapping[str, Any]:
    """The run's configuration. Raises UsageError if it is missing, or if its mapping `run` is no RunId."""
    file = folder / "config.yaml"
    try:
        config = from_yaml(file)
    except FileNotFoundError:
        raise UsageError(
            f"{folder / 'rounds.csv'} has no config.yaml beside it; restore it, or move the folder away"
        ) from None
    run = config.get("run") if isinstance(config, Mapping) else None
    if not isinstance(run, Mapping):
        raise UsageError(f"{file} has no mapping `run`, so al-run did not write it; move it away")
    try:
        RunId.of(run)
    except UsageError as error:
        raise UsageError(f"{file}: {error}; restore it, or move it away") from None
    return config  # type: ignore[no-any-return]


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as the tidy table."""
    return ordered(pd.DataFrame(rows, columns=[*TIDY, *EXTRA]))


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of runs as the tidy table: always in the same order, with those columns of EXTRA that hold a number."""
    extra = [name for name in EXTRA if name in frame and frame[name].notna().any()]
    return frame[[*TIDY, *extra]].sort_values([*KEYS, "round", "folder"], ignore_index=True)


def _read_results(file: Path) -> list[Row]:
    rows = completed(read_csv(file, NEEDED, TIDY))
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        runs.setdefault(run_key(row), []).append(row)
    for run in runs.values():
        require_sound(run, f"{file} (the run from {run[0]['folder']})", CORRECT)
    folders = [run[0]["folder"] for run in runs.values()]
    shared = next((folder for folder, count in Counter(folders).items() if count > 1), None)
    if shared is not None:
        raise UsageError(f"{file}: {shared} is the folder of several runs; give every run one of its own, or no folder")
    return rows


def require_comparable(frame: pd.DataFrame, where: str) -> None:
    """Raises UsageError if a run is there twice, or if a figure would have more than MOST_CURVES curves.

    `where` says in errors where the runs are. A seed that is there twice would count twice in a mean.
    """
    _require_distinct(frame, where)
    _require_few(frame, where)


def _require_distinct(frame: pd.DataFrame, where: str) -> None:
    identity = [*COMBINATION, "curve", "seed"]
    runs = frame.assign(curve=curve_names(frame)).drop_duplicates([*identity, "folder"])
    same = runs[runs.duplicated(identity, keep=False)]
    if len(same):
        first = same.iloc[0]
        twins = same[(same[identity] == first[identity]).all(axis=1)]
        raise UsageError(
            f"{' and '.join(twins['folder'])} in {where} hold the same run ({first['curve']}, seed "
            f"{first['seed']}); move all but one away, or plot a folder that holds only one"
        )


def _require_few(frame: pd.DataFrame, where: str) -> None:
    counts = curve_names(frame).groupby([frame[key] for key in COMBINATION], sort=False).nunique()
    if counts.max() > MOST_CURVES:
        (key, *_) = counts[counts == counts.max()].reset_index()[list(COMBINATION)].itertuples(index=False)
        case = ", ".join(filter(None, map(str, key)))
        raise UsageError(
            f"{where} holds {counts.max():,} strategies and variants of {case}, but at most {MOST_CURVES} can "
            "be compared; move some into another folder"
        )
