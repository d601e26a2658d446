"""The runs of several directories as one table, such as one's own and those that a paper published."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from al_runner.analysis.table.rows import KEYS, RATES
from al_runner.analysis.table.runs import Contents, find, ordered, require_comparable


def find_all(directories: Sequence[Path]) -> Contents:
    """The runs of one directory as `find` gives them, or those of several directories together.

    A run is named by its path below its directory. Where runs of two directories would have the same name, the
    directory's own name comes first. A directory that is given twice counts once, and so does a copy of a run, equal
    row by row. Raises UsageError as `find` does, and if two directories hold different rows of the same run.
    """
    directories = [*{directory.resolve(): directory for directory in directories}.values()]  # each once
    parts = [find(directory) for directory in directories]
    if len(parts) == 1:
        return parts[0]
    names = Counter(name for part in parts for name in {*part.frame["folder"], *part.folders, *part.unbegun})
    shared = {name for name, count in names.items() if count > 1}
    parts = [renamed(part, own, shared) for part, own in zip(parts, distinct(directories), strict=True)]
    frame = ordered(without_copies(pd.concat([part.frame for part in parts])))
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


def renamed(contents: Contents, directory: str, shared: set[str]) -> Contents:
    """The same runs, with `directory` before those names that are in `shared`."""

    def new(name: str) -> str:
        return f"{directory}/{name}" if name in shared else name

    return contents._replace(
        frame=contents.frame.assign(folder=contents.frame["folder"].map(new)),
        folders={new(name): folder for name, folder in contents.folders.items()},
        configs={new(name): config for name, config in contents.configs.items()},
        unbegun=[*map(new, contents.unbegun)],
    )


def without_copies(frame: pd.DataFrame) -> pd.DataFrame:
    """The table without the runs that are equal to an earlier one in all but their folder and their seconds."""
    columns = [*KEYS, "round", "labelled", *RATES, "steps"]
    runs = {folder: rows.to_csv(index=False) for folder, rows in frame.groupby("folder", sort=False)[columns]}
    first = {content: folder for folder, content in reversed(runs.items())}
    return frame[frame["folder"].isin(first.values())]
