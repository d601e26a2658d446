"""Writes files, and additions to files, completely or not at all."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class ChangedFile(OSError):
    """The file on disk is not the one that this process wrote."""


def replace_file(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Replace the file by `content` in one step that survives a crash; its folder is made if it is missing.

    A function as `content` writes to the open file that it gets. Raises OSError if the step fails; the old file is then
    kept. A half-written file of a killed process is overwritten.
    """
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.unlink(missing_ok=True)  # one that a killed process left, or a link that leads elsewhere
        with partial.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink()


def append_file(path: Path, content: bytes, size: int) -> None:
    """Add `content` to a file of `size` bytes in one step that survives a crash. If `size` is 0, it may be missing.

    Raises OSError if the step fails; the old content is then kept. Raises ChangedFile if the file has another size.
    """
    if size == 0:
        replace_file(path, content)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        if os.fstat(descriptor).st_size != size:
            raise ChangedFile(errno.EIO, "another program changed it in the meantime")
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a loss of power, if the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
