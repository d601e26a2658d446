"""A data set in one file, `<data_root>/<name>.npz`: made once, checked at every reading."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from al_runner.data.arrays import ARRAYS, Arrays, checked
from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file
from al_runner.system.claim import Claim


def prepared(data_root: str | Path, name: str, make: Callable[[], Arrays]) -> Arrays:
    """Read the prepared file, making it first if it is missing; of many processes only one makes it.

    UsageError where the file is damaged or the folder can't be written.
    """
    if Path(name).name != name or "\\" in name:
        raise UsageError(f"dataset.name={name} is no plain name; the file is made of it, inside data_root")
    path = Path(data_root) / f"{name}.npz"
    checksum = path.with_name(f"{path.name}.sha256")
    try:
        if not (path.exists() and checksum.exists()):
            path.parent.mkdir(parents=True, exist_ok=True)
            with Claim(path.with_name(f"{name}.lock"), patient=True):
                _complete(path, checksum, make)
        if _sha256(path) != checksum.read_text().strip():
            raise UsageError(
                f"{path} is damaged: its checksum is not the one in {checksum.name}; "
                "delete both files, and the data set is prepared again"
            )
    except OSError as error:
        raise UsageError(
            f"{path} can't be prepared or read ({error.strerror or error}); make {path.parent} writable and give it "
            "space, or name another folder with data_root=... or AL_DATA"
        ) from error
    return read(path)


def read(path: Path) -> Arrays:
    """The arrays of a file in the prepared form; UsageError says what is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in (*ARRAYS, "classes") if name in file.files}
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; name the file with dataset.path=...") from error
    except Exception as error:  # damage raises whatever zipfile, zlib or numpy meets first
        raise UsageError(
            f"{path} is damaged or no .npz file ({one_line(error)}); delete it or put a sound copy there"
        ) from error
    return checked(path, found)


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _complete(path: Path, checksum: Path, make: Callable[[], Arrays]) -> None:
    """Add what is missing of the file and its checksum; to be called by one process at a time."""
    if not path.exists():
        arrays = checked(path.stem, make()._asdict())
        checksum.unlink(missing_ok=True)  # of an earlier file that was deleted
        named = arrays._asdict()
        replace_file(path, lambda file: np.savez(file, **named))
    if not checksum.exists():  # new, or put there by hand: sound now, and checked from now on
        read(path)
        replace_file(checksum, f"{_sha256(path)}\n".encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
