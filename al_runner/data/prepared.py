"""A data set in one file, `<data_root>/<name>.npz`, which is made once and checked at every reading."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from al_runner.data.archive import read, sha256
from al_runner.data.arrays import Arrays, DataFile, checked
from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file
from al_runner.system.claim import Claim

log = logging.getLogger(__name__)
_MAY_WRITE = ContextVar("may_write", default=True)


class NotPrepared(UsageError):
    """A data set or its features are not prepared yet, and `reading_only` forbids to do so."""


@contextmanager
def reading_only() -> Iterator[None]:
    """A block in which no data set is downloaded or prepared, and no features are made: it raises NotPrepared."""
    token = _MAY_WRITE.set(False)
    try:
        yield
    finally:
        _MAY_WRITE.reset(token)


def require_writing(name: str, folder: Path) -> None:
    """Raises NotPrepared inside `reading_only`: `name` would now be made in the folder."""
    if not _MAY_WRITE.get():
        raise NotPrepared(f"{name} is not prepared in {folder} yet; the first run does that")


def prepared(data_root: str | Path, name: str, make: Callable[[], Arrays]) -> Arrays:
    """Read the prepared file. If it is missing, `make` its arrays first; of many processes only one does so.

    The log gets its notes. Raises UsageError if the file is damaged or the folder can't be written, and NotPrepared as
    `reading_only` says.
    """
    if Path(name).name != name or "\\" in name:
        raise UsageError(f"dataset.name={name} can't be a file's name; give one without / and \\")
    path = Path(data_root) / f"{name}.npz"
    checksum = path.with_name(f"{path.name}.sha256")
    try:
        if not (path.exists() and checksum.exists()):
            require_writing(name, path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            with Claim(path.with_name(f"{name}.lock"), patient=True):
                _complete(path, checksum, make)
        found = sha256(path)
        if found != checksum.read_text().strip():
            raise UsageError(
                f"{path} is damaged or was replaced: its checksum is not the one in {checksum.name}; if you replaced "
                f"it, delete {checksum.name}; else delete both files, and the data set is prepared again"
            )
    except OSError as error:
        raise UsageError(
            f"{path} can't be prepared or read ({error.strerror or error}); make {path.parent} writable, free some "
            "space on its disk, or name another folder with data_root=... or AL_DATA"
        ) from error
    arrays = read(path)
    for note in arrays.notes:
        log.warning("%s", note)
    return arrays._replace(source=DataFile(path.name, found))


def _complete(path: Path, checksum: Path, make: Callable[[], Arrays]) -> None:
    """Make the file, its checksum, or both, if they are missing. Only one process at a time may call this."""
    if not path.exists():
        checksum.unlink(missing_ok=True)  # the checksum of an earlier file, which was deleted
        _make(path, make)  # a function of its own, so that its arrays leave memory before the file is read
    if not checksum.exists():  # the file is new, or was put there by hand
        read(path)
        replace_file(checksum, f"{sha256(path)}\n".encode())


def _make(path: Path, make: Callable[[], Arrays]) -> None:
    named = checked(path.stem, make().named()).named()
    replace_file(path, lambda file: np.savez(file, **named))
