"""Reads an .npz file that any program may have written."""

import hashlib
import logging
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from al_runner.data.arrays import ARRAYS, OPTIONAL, Arrays, checked
from al_runner.data.layout import Values
from al_runner.errors import UsageError
from al_runner.system.text import listed, one_line

HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
log = logging.getLogger(__name__)

TEST = {"test_images", "test_labels"}
WANTED = f"give an .npz file with {', '.join(ARRAYS)}, as numpy.savez writes it"
# What to write in place of Python objects, by the last word of an array's name.
NO_OBJECTS = {
    "images": "uint8 values [N, H, W(, C)], all images of one size",
    "labels": "whole numbers, labels.astype('int64')",
    "classes": "words, numpy.array(classes, dtype=str)",
    "files": "words",
    "notes": "words",
}


def read(path: Path, channels: str | None = None, relabel: bool = False, values: Values = "uint8") -> Arrays:
    """The arrays of a file in the prepared form. `channels`, `relabel` and `values` are as in `checked`.

    A line of the log names arrays that nothing reads. Raises UsageError if the file is missing, has another form, or
    has unknown arrays and no test set.
    """
    arrays_by_name: dict[str, NDArray[Any]] = {}
    with opened(path) as file:
        for name in (*ARRAYS, *OPTIONAL):
            if name in file.files:
                arrays_by_name[name] = array(path, file, name)
        other = sorted({*file.files} - {*arrays_by_name})
    if not arrays_by_name:
        raise UsageError(f"{path} has {listed(other) or 'no array'}; {WANTED}")
    if other and not TEST & {*arrays_by_name}:  # the test set may have a wrong name; drawing another would hide that
        raise UsageError(
            f"{path} has no {' and '.join(sorted(TEST))}, but {listed(other)}, which nothing reads; rename the "
            "arrays of the test set, or remove these arrays: then a test set is drawn from the training images"
        )
    arrays = checked(path, arrays_by_name, channels, relabel, values)
    if other:
        log.warning("%s: nothing reads %s", path, listed(other))
    return arrays


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def opened(path: Path, wanted: str = WANTED) -> NpzFile:
    """The file, which the caller closes. Raises UsageError, which says what is `wanted`, if it is no .npz file."""
    try:
        file = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; name the file with dataset.path=...") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder; dataset=folder reads folders of images, or name a file in it") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror or error}); make it readable") from error
    except Exception as error:  # numpy, zipfile and zlib each raise errors of their own
        # numpy takes every unknown file for a pickle, and its message advises to load it unsafely.
        reason = "" if "pickle" in str(error) else f" ({one_line(error)})"
        raise UsageError(f"{path} can't be read as an .npz file{reason}; {wanted}") from error
    if isinstance(file, NpzFile):
        return file
    raise UsageError(f"{path} holds one array, {file.dtype} {file.shape}; {wanted}")


def array(path: Path, file: NpzFile, name: str) -> NDArray[Any]:
    """An array of the file. Raises UsageError if it is damaged, too large for the memory, or holds Python objects."""
    try:
        needed, free = _bytes(file, name), psutil.virtual_memory().available
        if needed > free:
            raise UsageError(
                f"{path}: {name} needs {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free; write "
                "fewer or smaller images"
            )
        return np.asarray(file[name])
    except UsageError:
        raise
    except Exception as error:  # numpy, zipfile and zlib each raise errors of their own
        if "allow_pickle" in str(error):
            kind = name.rpartition("_")[2]
            raise UsageError(f"{path}: {name} holds Python objects; save {NO_OBJECTS.get(kind, 'numbers')}") from error
        raise UsageError(
            f"{path}: {name} can't be read ({one_line(error)}); the file was changed or cut off after it was written: "
            "write it again, or name another with dataset.path=..."
        ) from error


def _bytes(file: NpzFile, name: str) -> int:
    """The bytes that an array takes in memory, from its header: a file of a megabyte may unpack to a gigabyte."""
    assert file.zip is not None
    with file.zip.open(f"{name}.npy") as member:
        shape, _, dtype = HEADER[np.lib.format.read_magic(member)](member)
    return prod(shape) * int(dtype.itemsize)
