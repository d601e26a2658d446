"""The energy that the device of a run uses, if it has a counter."""

from collections.abc import Callable
from time import perf_counter

import torch

Counter = Callable[[], float | None]  # joules since a fixed moment; None if they are not known


class Meter:
    """A run's share of the energy of its device: the run's own seconds times the mean power since the last reading.

    If runs share a process, their seconds add up to those of the process, and so do their joules. The work of other
    processes on the device in that time counts, too.
    """

    def __init__(self, counter: Counter, clock: Callable[[], float] = perf_counter):
        self._counter, self._clock = counter, clock
        self._last = counter(), clock()

    def joules(self, seconds: float) -> float | None:
        """Joules of the `seconds` that this run had since the last reading; None if the device does not say it."""
        (before, then), (after, now) = self._last, (self._counter(), self._clock())
        self._last = after, now
        return None if before is None or after is None else seconds * (after - before) / (now - then)


def counter_of(device: torch.device) -> Counter:
    """A counter of the joules that a GPU has used since its driver was loaded, by NVML.

    It gives None without pynvml, before torch 2.5, and for a part of a GPU (MIG). GPUs count joules from Volta on. It
    gives None for a CPU, too: only root may read a CPU's counter (RAPL), which is for all cores together.
    """
    if device.type != "cuda":
        return lambda: None
    try:
        import pynvml  # noqa: PLC0415 - an extra
    except ImportError:
        return lambda: None
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)  # torch 2.4 has none
    if uuid is None:
        return lambda: None

    def joules() -> float | None:
        try:
            pynvml.nvmlInit()
            millijoules: int = pynvml.nvmlDeviceGetTotalEnergyConsumption(
                pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            )
        except pynvml.NVMLError:
            return None
        return millijoules / 1000

    return joules
