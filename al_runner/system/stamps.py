"""Whether files have changed since they were last looked at."""

import os
from collections.abc import Iterator
from pathlib import Path

Stamp = tuple[str, int, int]  # a path, its size in bytes, its time of change in nanoseconds


def stamp(path: Path) -> tuple[Stamp, ...]:
    """What tells the state of a file, or of all files of a folder, from another one; empty if there is no such path."""
    files = [path] if path.is_file() else sorted(_below(path))
    stats = ((file, file.stat()) for file in files if file.exists())
    return tuple((str(file), found.st_size, found.st_mtime_ns) for file, found in stats)


def _below(folder: Path) -> Iterator[Path]:
    """All files below a folder and below the folders that links in it lead to, each folder once."""
    seen = {folder.resolve()}
    for root, folders, names in os.walk(folder, followlinks=True):
        yield from (Path(root, name) for name in names)
        targets = {name: Path(root, name).resolve() for name in folders}
        folders[:] = [name for name, target in targets.items() if target not in seen]
        seen |= {*targets.values()}
