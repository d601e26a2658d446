"""Writing whole files or none."""

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import pandas as pd

from al_runner.analysis.table.rows import FORMULA
from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file

LONG = 200  # bytes of a file's name; most systems take 255


def stem(what: str, names: Sequence[str]) -> str:
    """A file's name without suffix, of what it shows of the case with these names."""
    whole = "-".join((what, *(name.replace("/", "_") for name in names)))
    return whole if len(whole.encode()) <= LONG else f"{whole[: LONG // 4]}-{crc32(whole.encode()):08x}"


def write(path: Path, content: bytes) -> Path:
    """Replace the file in one step, its folder made where missing; UsageError, and the old file kept, where it can't.

    Returns `path`.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}); choose another --out") from error
    return path


def as_csv(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV whose numbers read back exactly, and its texts by `as_written`.

    A text that a spreadsheet would compute as a formula has an apostrophe before it, at which it does not.
    """
    texts = frame.select_dtypes(["object", "string"]).columns
    safe = frame.copy(deep=False)
    for name in texts:
        safe[name] = frame[name].map(_inert)
    return safe.to_csv(index=False, lineterminator="\n").encode()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
