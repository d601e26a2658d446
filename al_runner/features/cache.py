"""A file of features, which is made once, batch by batch, and checked at every reading.

N images, D features.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from al_runner.data.archive import sha256
from al_runner.data.prepared import require_writing
from al_runner.errors import UsageError
from al_runner.features.progress import Told
from al_runner.system.atomic import replace_file
from al_runner.system.claim import Claim

log = logging.getLogger(__name__)

Rows = Callable[[int, int], Tensor]  # features of the images from one id to before another, [n, D]


def cached(path: Path, count: int, batch: int, facts: Mapping[str, Any], make: Callable[[], Rows]) -> Tensor:
    """The features of `count` images in the file at `path`, float32 [N, D], read from the disk when they are used.

    If the file is missing or damaged, the `Rows` that `make` gives are written first, `batch` images at a time; of many
    processes only one does so. An extraction that was killed goes on after its last sound batch. Beside the file lies
    a .json file with its checksum and `facts`. Raises UsageError if the folder can't be used, or if a feature is not
    finite, and NotPrepared as `reading_only` says.
    """
    try:
        if not sound(path):
            require_writing(path.stem, path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            with Claim(path.with_name(f"{path.name}.lock"), patient=True):
                if not sound(path):  # no other process made it in the meantime
                    _make(path, count, batch, facts, make())
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except OSError as error:
        raise UsageError(
            f"{path} can't be written or read ({error.strerror or error}); make {path.parent} writable, free some "
            "space on its disk, or name another folder with data_root=... or AL_DATA"
        ) from error


def sound(path: Path) -> bool:
    """Whether the file has the checksum that lies beside it. The log names a damaged file."""
    if not path.exists():
        return False
    try:
        recorded = json.loads(noted(path).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        recorded = None
    if recorded == sha256(path):
        return True
    log.warning("%s is damaged: its checksum is not the one in %s; it is made again", path, noted(path).name)
    return False


def noted(path: Path) -> Path:
    """Where the facts about the file lie."""
    return path.with_suffix(".json")


def _make(path: Path, count: int, batch: int, facts: Mapping[str, Any], rows: Rows) -> None:
    """Write the file and its facts. Only one process at a time may call this."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("r+b" if partial.exists() else "w+b") as file, Told(path.stem, count) as told:
        first = _block(rows, 0, min(batch, count))
        done = _resumed(file, _header(count, first.shape[1]) + first.tobytes(), first[0].nbytes, batch, count)
        told.at(done)
        for start in range(done, count, batch):
            block = _block(rows, start, min(start + batch, count))
            if block.shape[1] != first.shape[1]:
                raise UsageError(
                    f"the images from {start} on have {block.shape[1]} features each, those before {first.shape[1]}; "
                    "every image must have the same number"
                )
            file.write(block.tobytes())
            file.flush()
            os.fsync(file.fileno())
            told.at(start + len(block))
    held = {**facts, "images": count, "features": first.shape[1], "sha256": sha256(partial)}
    replace_file(noted(path), (json.dumps(held, indent=1) + "\n").encode())
    partial.replace(path)


def _resumed(file: BinaryIO, begin: bytes, row: int, batch: int, count: int) -> int:
    """How many images are in the file, which is then open behind them; `begin` is its header and its first batch.

    The last batch of a killed extraction may be damaged, so it is not counted. A file with another beginning, such as
    that of another device, starts anew.
    """
    first = min(batch, count)
    header = len(begin) - first * row
    same = file.read(len(begin)) == begin
    whole = min(count, (file.seek(0, os.SEEK_END) - header) // row)
    done = max(first, (whole // batch - 1) * batch) if same else first
    if not same:
        file.seek(0)
        file.write(begin)
    file.truncate(header + done * row)
    file.seek(header + done * row)
    return done


def _header(count: int, numbers: int) -> bytes:
    """What numpy.save writes before a float32 array [count, numbers]."""
    written = BytesIO()
    what = {"descr": "<f4", "fortran_order": False, "shape": (count, numbers)}
    np.lib.format.write_array_header_1_0(written, what)
    return written.getvalue()


def _block(rows: Rows, start: int, end: int) -> NDArray[np.float32]:
    """The features of the images from `start` to before `end`; UsageError if they are no finite [n, D]."""
    values = rows(start, end)
    if not isinstance(values, Tensor):
        raise UsageError(
            f"the net of features= gives a {type(values).__name__}; it must give one tensor, floats [{end - start}, D]"
        )
    values = values.detach()
    if values.shape != (end - start, values[:1].numel()) or not values.is_floating_point() or not values.numel():
        raise UsageError(
            f"features are {str(values.dtype).removeprefix('torch.')} {[*values.shape]} for {end - start} images; the "
            f"net of features= must give floats [{end - start}, D], a row for each image"
        )
    if not bool(values.isfinite().all()):
        raise UsageError(
            f"a feature of the images {start} .. {end - 1} is NaN or infinite; look at these images, or choose another "
            "features="
        )
    return np.ascontiguousarray(values.float().cpu().numpy().astype("<f4", copy=False))
