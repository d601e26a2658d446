"""Files of a results folder, which may come from a stranger: read within limits, and through no link.

Whoever reads a run's files for a table, a figure or a page reads them here. Nothing is run, nothing outside the folder
is opened, and what a file can cost is bounded by its size, which is bounded too.
"""

import json
import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from al_runner.errors import UsageError
from al_runner.system.text import one_line

TABLE, SETTINGS = 2**26, 2**18  # bytes of a CSV file, and of a file of settings or facts, at most
FACTS = 2**22  # of provenance.json, which has an entry for every start
DEEP = 32  # folders or brackets inside each other, at most
WHOLE = range(-(2**63), 2**63)  # whole numbers that a file may hold
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same language, ten times as fast


class Unreadable(UsageError):
    """A file of a results folder that can't be used, and what to do about it."""


def content(path: Path, most: int) -> bytes:
    """What a plain file of at most `most` bytes holds.

    Raises FileNotFoundError if there is no file, and Unreadable if it can't be used.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            held = os.fstat(descriptor)
            if not stat.S_ISREG(held.st_mode):
                raise unreadable(path, "it is no plain file")
            if held.st_size > most:
                raise unreadable(path, f"it has {held.st_size:,} bytes, more than the {most:,} that are read")
            return file.read(held.st_size)  # a buffer of this size is made, however little there is to read
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, "it is a link" if path.is_symlink() else str(error.strerror or error)) from error


def from_yaml(path: Path) -> Any:
    """The value in a YAML file of settings. Raises what `content` raises, and Unreadable if the file has an alias."""
    return _parsed(path, SETTINGS, _yaml)


def from_json(path: Path, most: int = SETTINGS) -> Any:
    """The value in a JSON file. Raises what `content` raises."""
    return _parsed(path, most, json.loads)


def _parsed(path: Path, most: int, parse: Callable[[bytes], Any]) -> Any:
    text = content(path, most)
    try:
        value = parse(text)
        _require_plain(value, DEEP)
        return value
    except Exception as error:  # damage raises whatever the parser or a number's constructor meets first
        raise unreadable(path, one_line(error)) from error


def _yaml(text: bytes) -> Any:
    deep = 0
    for event in yaml.parse(text, LOADER):
        deep += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if deep > DEEP:
            raise ValueError(f"more than {DEEP} levels inside each other")
        if isinstance(event, AliasEvent):
            raise ValueError(f"it has the alias *{event.anchor}, and al-run writes none")
    loader = LOADER(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _require_plain(value: Any, levels: int) -> None:
    """Raises ValueError if the value is nested too deeply or has a whole number beyond 64 bits."""
    if levels < 0:
        raise ValueError(f"more than {DEEP} levels inside each other")
    if isinstance(value, dict):
        for part in value.values():
            _require_plain(part, levels - 1)
    elif isinstance(value, list):
        for part in value:
            _require_plain(part, levels - 1)
    elif isinstance(value, int) and value not in WHOLE:
        raise ValueError("a whole number is beyond 64 bits")


def unreadable(path: Path, reason: str) -> Unreadable:
    """The error for a file that can't be used for this `reason`."""
    return Unreadable(f"{path} can't be read ({reason}); restore it from a copy, or move it away")


def folders_with(root: Path, names: Collection[str]) -> list[Path]:
    """Folders at any depth below `root`, and `root`, that hold a file of one of these names, sorted.

    Hidden folders, links to folders and what lies more than DEEP folders down are left out. Raises UsageError if `root`
    is no folder.
    """
    if not os.path.isdir(root):  # also False for a name that is too long
        raise UsageError(f"{root} is not a directory; give one that al-run wrote into, such as outputs")
    return sorted(folder for folder, held in _walk(root) if not held.isdisjoint(names))


def _walk(root: Path) -> Iterator[tuple[Path, set[str]]]:
    """Every folder with the names in it."""
    left = [(root, 0)]
    while left:
        folder, depth = left.pop()
        try:
            with os.scandir(folder) as entries:
                held = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:  # not ours to read
            continue
        yield folder, {name for name, is_folder in held if not is_folder}
        if depth < DEEP:
            left += [(folder / name, depth + 1) for name, is_folder in held if is_folder and name[0] != "."]
