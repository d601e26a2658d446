"""Writing whole files or none."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file


def stem(what: str, names: Sequence[str]) -> str:
    """A file's name without suffix, of what it shows of the case with these names."""
    return "-".join((what, *(name.replace("/", "_") for name in names)))


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
    """The table as UTF-8 CSV whose numbers read back exactly."""
    return frame.to_csv(index=False, lineterminator="\n").encode()
