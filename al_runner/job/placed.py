"""Data sets on a device, for the jobs of a process that follow each other or go on side by side."""

from functools import lru_cache
from weakref import WeakValueDictionary

import torch

from al_runner.types import DataSet

# Every copy that a job still uses. The copies may be freed, and so must not be held here.
_copies: WeakValueDictionary[tuple[DataSet, torch.device], DataSet] = WeakValueDictionary()


@lru_cache(maxsize=1)  # holds the newest copy between two jobs
def placed(data: DataSet, device: torch.device) -> DataSet:
    """The data set on the device, one copy for all jobs that use it at the same time.

    A copy is freed once no job uses it and another data set has been placed. `data` itself is returned if it is there.
    """
    if data.images.device == device:
        return data
    copy = _copies.get((data, device))
    if copy is None:
        copy = _copies[data, device] = data.to(device)
    return copy


def forget() -> None:
    """Hold no copy any more, as if none had been made."""
    placed.cache_clear()
    _copies.clear()
