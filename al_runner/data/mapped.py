"""Reads an array of an .npz file from disk only when it is used, for pools larger than memory."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_runner.data.archive import HEADER
from al_runner.errors import UsageError

LOCAL_HEADER = 30  # bytes of a zip member's header before its name and extra field (PKWARE APPNOTE 4.3.7)


def mapped(path: Path, name: str) -> NDArray[Any]:
    """Array `name` of the file, mapped: its values are read when they are used. Changes do not reach the file.

    Raises UsageError if the array is missing, compressed, in Fortran order, or holds Python objects; other errors of
    zipfile and numpy if the file is damaged.
    """
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        if f"{name}.npy" not in archive.namelist():
            raise UsageError(f"{path} has no array {name!r}; it has {', '.join(archive.namelist())}")
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            raise UsageError(f"{path} is compressed, so it can't be mapped; write it with numpy.savez")
        file.seek(member.header_offset)
        header = file.read(LOCAL_HEADER)
        skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(skipped, 1)
        shape, fortran, dtype = HEADER[np.lib.format.read_magic(file)](file)
        if dtype.hasobject:
            raise UsageError(f"{path}: {name!r} holds Python objects and can't be mapped; save numbers or words")
        if fortran:
            raise UsageError(f"{path}: {name!r} is in Fortran order; save numpy.ascontiguousarray({name})")
        return np.memmap(path, dtype, "c", file.tell(), shape)
