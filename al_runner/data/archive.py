"""An .npz file read, whoever wrote it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from al_runner.data.arrays import ARRAYS, OPTIONAL, Arrays, checked
from al_runner.data.layout import Values
from al_runner.errors import UsageError

log = logging.getLogger(__name__)

WANTED = f"an .npz file with {', '.join(ARRAYS)} is wanted, as numpy.savez writes it"
# What to write in place of Python objects, by the last word of an array's name.
NO_OBJECTS = {
    "images": "uint8 values [N, H, W(, C)], all images of one size",
    "labels": "whole numbers, labels.astype('int64')",
    "classes": "words, numpy.array(classes, dtype=str)",
    "notes": "words",
}


def read(path: Path, channels: str | None = None, relabel: bool = False, values: Values = "uint8") -> Arrays:
    """The arrays of a file in the prepared form, options as in `checked`; UsageError says what is wrong with it.

    A line of the log names arrays that nothing reads.
    """
    found: dict[str, NDArray[Any]] = {}
    with opened(path) as file:
        for name in (*ARRAYS, *OPTIONAL):
            if name in file.files:
                found[name] = array(path, file, name)
        other = sorted({*file.files} - {*found})
    if not found:
        raise UsageError(f"{path} has {few(other)}; {WANTED}")
    arrays = checked(path, found, channels, relabel, values)
    if other:
        log.warning("%s: nothing reads %s", path, few(other))
    return arrays


def opened(path: Path, wanted: str = WANTED) -> NpzFile:
    """The file, to be closed by the caller; UsageError unless it is an .npz file, with `wanted` said."""
    try:
        file = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; name the file with dataset.path=...") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder; dataset=folder reads folders of images, or name a file in it") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror or error}); make it readable") from error
    except Exception as error:  # whatever numpy, zipfile or zlib meets first
        # numpy takes whatever it does not know for a pickle, and advises to load it unsafely.
        reason = "" if "pickle" in str(error) else f" ({one_line(error)})"
        raise UsageError(f"{path} can't be read as an .npz file{reason}; {wanted}") from error
    if isinstance(file, NpzFile):
        return file
    raise UsageError(f"{path} holds one array, {file.dtype} {file.shape}; {wanted}")


def array(path: Path, file: NpzFile, name: str) -> NDArray[Any]:
    """An array of the file; UsageError where it is damaged, or holds Python objects."""
    try:
        return np.asarray(file[name])
    except Exception as error:  # whatever numpy, zipfile or zlib meets first
        if "allow_pickle" in str(error):
            kind = name.rpartition("_")[2]
            raise UsageError(f"{path}: {name} holds Python objects; save {NO_OBJECTS.get(kind, 'numbers')}") from error
        raise UsageError(
            f"{path}: {name} can't be read ({one_line(error)}); the file was changed or cut off after it was written: "
            "write it again, or name another with dataset.path=..."
        ) from error


def few(names: list[str]) -> str:
    """The first few of an archive's names."""
    return f"{', '.join(names[:5]) or 'no array'}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
