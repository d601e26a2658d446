"""Reads an .npz file that any program may have written."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from al_runner.data.arrays import ARRAYS, OPTIONAL, Arrays, checked
from al_runner.errors import UsageError

log = logging.getLogger(__name__)

WANTED = f"give an .npz file with {', '.join(ARRAYS)}, as numpy.savez writes it"
# What to write in place of Python objects, by the last word of an array's name.
NO_OBJECTS = {
    "images": "uint8 values [N, H, W(, C)], all images of one size",
    "labels": "whole numbers, labels.astype('int64')",
    "classes": "words, numpy.array(classes, dtype=str)",
    "files": "words",
    "notes": "words",
}


def read(path: Path, channels: str | None = None, relabel: bool = False) -> Arrays:
    """The arrays of a file in the prepared form. `channels` and `relabel` are as in `checked`.

    A line of the log names arrays that nothing reads. Raises UsageError if the file is missing or has another form.
    """
    found: dict[str, NDArray[Any]] = {}
    with _opened(path) as file:
        for name in (*ARRAYS, *OPTIONAL):
            if name in file.files:
                found[name] = _array(path, file, name)
        other = sorted({*file.files} - {*found})
    if not found:
        raise UsageError(f"{path} has {_few(other)}; {WANTED}")
    arrays = checked(path, found, channels, relabel)
    if other:
        log.warning("%s: nothing reads %s", path, _few(other))
    return arrays


def _opened(path: Path) -> NpzFile:
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
        raise UsageError(f"{path} can't be read as an .npz file{reason}; {WANTED}") from error
    if isinstance(file, NpzFile):
        return file
    raise UsageError(f"{path} holds one array, {file.dtype} {file.shape}; {WANTED}")


def _array(path: Path, file: NpzFile, name: str) -> NDArray[Any]:
    try:
        return np.asarray(file[name])
    except Exception as error:  # numpy, zipfile and zlib each raise errors of their own
        if "allow_pickle" in str(error):
            kind = name.rpartition("_")[2]
            raise UsageError(f"{path}: {name} holds Python objects; save {NO_OBJECTS[kind]}") from error
        raise UsageError(
            f"{path}: {name} can't be read ({one_line(error)}); the file was changed or cut off after it was written: "
            "write it again, or name another with dataset.path=..."
        ) from error


def _few(names: list[str]) -> str:
    """The first five names, and the number of the others."""
    return f"{', '.join(names[:5]) or 'no array'}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks, or the name of its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
