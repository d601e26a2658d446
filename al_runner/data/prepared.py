"""A data set in one file, `<data_root>/<name>.npz`: made once, checked at every reading."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from al_runner.errors import UsageError

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


class Arrays(NamedTuple):
    """The contents of a prepared file; the test part may be empty."""

    train_images: NDArray[np.uint8]  # [N, H, W] or [N, H, W, C]
    train_labels: NDArray[np.int64]  # [N]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: NDArray[np.str_]


def prepared(data_root: str | Path, name: str, make: Callable[[], Arrays]) -> Arrays:
    """Read the prepared file, making it first if it is missing; of many processes only one makes it.

    UsageError where the file is damaged or the folder can't be written.
    """
    path = Path(data_root) / f"{name}.npz"
    checksum = path.with_name(f"{path.name}.sha256")
    try:
        if not (path.exists() and checksum.exists()):
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f"{name}.lock")):
                if not path.exists():
                    _write(path, make())
                if not checksum.exists():  # new, or put there by hand: sound now, and checked from now on
                    read(path)
                    _replace(checksum, f"{_sha256(path)}\n".encode())
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
    except (ValueError, EOFError, BadZipFile, OSError) as error:
        raise UsageError(f"{path} is damaged or no .npz file ({error}); delete it or put a sound copy there") from error
    missing = [name for name in ARRAYS if name not in found]
    if missing:
        raise UsageError(f"{path} has no array {', '.join(missing)}; it needs {', '.join(ARRAYS)}")
    _require_form(path, found)
    labels = np.concatenate([found["train_labels"], found["test_labels"]])
    if "classes" not in found:
        found["classes"] = np.array([str(label) for label in range(int(labels.max(initial=-1)) + 1)])
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(found["classes"])):
        raise UsageError(f"{path}: labels must be in 0 .. {len(found['classes']) - 1}, one for each class")
    return Arrays(**{name: found[name] for name in Arrays._fields})


def _require_form(path: Path, found: dict[str, NDArray[np.generic]]) -> None:
    for part in ("train", "test"):
        images, labels = found[f"{part}_images"], found[f"{part}_labels"]
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise UsageError(f"{path}: {part}_images is {images.dtype} {images.shape}; uint8 [N, H, W(, C)] is wanted")
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (len(images),):
            raise UsageError(
                f"{path}: {part}_labels is {labels.dtype} {labels.shape}; {len(images)} integers are wanted"
            )
        found[f"{part}_labels"] = labels.astype(np.int64)
    if len(found["test_images"]) and found["train_images"].shape[1:] != found["test_images"].shape[1:]:
        raise UsageError(f"{path}: train and test images differ in size; make them equal")


def _write(path: Path, arrays: Arrays) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **cast(dict[str, NDArray[np.generic]], arrays._asdict()))  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
