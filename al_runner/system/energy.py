"""The energy a run's device uses, where it has a counter of its own."""

from collections.abc import Callable
from time import perf_counter

import torch

Counter = Callable[[], float | None]  # joules since some moment; None where they can't be told


class Meter:
    """A run's share of what its device uses: the run's own seconds at the device's mean power since the last reading.

    The seconds of runs that share a process add up to the process's, and so do their joules. Whatever other processes
    do on the device meanwhile is counted as well.
    """

    def __init__(self, counter: Counter, clock: Callable[[], float] = perf_counter):
        self._counter, self._clock = counter, clock
        self._last = counter(), clock()

    def joules(self, seconds: float) -> float | None:
        """Of `seconds` that the run was given since the last reading; None where the device doesn't say."""
        (before, then), (after, now) = self._last, (self._counter(), self._clock())
        self._last = after, now
        return None if before is None or after is None else seconds * (after - before) / (now - then)


def counter_of(device: torch.device) -> Counter:
    """The joules a GPU has used since its driver was loaded, by NVML; no number without pynvml, or before torch 2.5.

    Volta and later GPUs count them; a slice of one (MIG) does not. A CPU's own counter (RAPL) is for root alone and for
    all cores together, so it can't be told whose its joules are.
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
