"""Files written whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Put `content`, or what it writes, into the file in one step that survives a crash, making its folder if missing.

    OSError where that fails; the old file is then kept. What a killed process left half-written is overwritten.
    """
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
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


def _sync_folder(folder: Path) -> None:
    """Have the new name survive a loss of power, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
