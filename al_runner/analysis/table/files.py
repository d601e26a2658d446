"""Writes files as a whole or not at all."""

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import pandas as pd

from al_runner.analysis.table.rows import FORMULA
from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file

LONG = 200  # bytes of a file's name; most systems allow 255


def stem(what: str, names: Sequence[str]) -> str:
    """A file's name without suffix: what it shows, then the names of the case; shortened by a checksum if too long."""
    whole = "-".join((what, *(name.replace("/", "_") for name in names)))
    return whole if len(whole.encode()) <= LONG else f"{whole[: LONG // 4]}-{crc32(whole.encode()):08x}"


def write(path: Path, content: bytes) -> Path:
    """Replace the file in one step; a missing folder is made. Returns `path`.

    Raises UsageError if the file can't be written; the old file then stays.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}); choose another --out") from error
    return path


def as_csv(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV. Its numbers read back exactly, and its texts read back by `as_written`.

    A text that a spreadsheet would compute as a formula gets an apostrophe before it, which prevents that.
    """
    texts = frame.select_dtypes(["object", "string"]).columns
    safe = frame.copy(deep=False)
    for name in texts:
        safe[name] = frame[name].map(_inert)
    return safe.to_csv(index=False, lineterminator="\n").encode()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
