"""The runs of several directories as one table, such as one's own and those that a paper published."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from al_runner.analysis.table.rows import EXTRA, KEYS, RATES, TIDY
from al_runner.analysis.table.runs import Contents, find, require_comparable

T = TypeVar("T")


def find_all(directories: Sequence[Path]) -> Contents:
    """The runs of one directory as `find` gives them, or those of several directories together.

    A run is named by its path below its directory. Where runs of two directories would have the same name, the
    directory's own name comes first. A copy of a run, equal row by row, counts once. Raises UsageError as `find` does,
    and if two directories hold different rows of the same run.
    """
    parts = [find(directory) for directory in directories]
    if len(parts) == 1:
        return parts[0]
    names = Counter(name for part in parts for name in _names(part))
    shared = {name for name, count in names.items() if count > 1}
    parts = [_Renaming(own, shared).contents(part) for own, part in zip(distinct(directories), parts, strict=True)]
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    frame = without_copies(frame)[[*TIDY, *(name for name in EXTRA if name in frame)]]
    frame = frame.sort_values([*KEYS, "round", "folder"], ignore_index=True)
    require_comparable(frame, " and ".join(map(str, directories)))
    return Contents(
        frame,
        {name: folder for part in parts for name, folder in part.folders.items()},
        {name: config for part in parts for name, config in part.configs.items()},
        [line for part in parts for line in part.damaged],
        [name for part in parts for name in part.unbegun],
    )


def distinct(directories: Sequence[Path]) -> list[str]:
    """The last parts of each path, as few as tell all paths apart; the whole path if it is given twice."""
    tails, most = list[str](), max(len(path.parts) for path in directories)
    for parts in range(1, most + 1):
        tails = ["/".join(path.parts[-parts:]) for path in directories]
        if len(set(tails)) == len(tails):
            break
    return tails


def without_copies(frame: pd.DataFrame) -> pd.DataFrame:
    """The table without the runs that are equal to an earlier one in all but their folder and their seconds."""
    columns = [*KEYS, "round", "labelled", *RATES, "steps"]
    runs = {folder: rows.to_csv(index=False) for folder, rows in frame.groupby("folder", sort=False)[columns]}
    first = {content: folder for folder, content in reversed(runs.items())}
    return frame[frame["folder"].isin(first.values())]


def _names(contents: Contents) -> set[str]:
    return {*contents.frame["folder"], *contents.folders, *contents.unbegun}


@dataclass(frozen=True)
class _Renaming:
    """Puts `directory` before the names of runs that are in `shared`."""

    directory: str
    shared: set[str]

    def __call__(self, name: str) -> str:
        return f"{self.directory}/{name}" if name in self.shared else name

    def keys(self, values: Mapping[str, T]) -> dict[str, T]:
        return {self(name): value for name, value in values.items()}

    def contents(self, old: Contents) -> Contents:
        frame = old.frame.assign(folder=old.frame["folder"].map(self))
        return Contents(frame, self.keys(old.folders), self.keys(old.configs), old.damaged, [*map(self, old.unbegun)])
