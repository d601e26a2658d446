"""Two pieces of work timed in turn in one process, so that a machine whose speed drifts favours neither."""

import platform
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import torch

Clock = Callable[[], float]  # in seconds


class Paired(NamedTuple):
    """Seconds of A and of B, pair by pair."""

    a: list[float]
    b: list[float]

    def line(self, name: str, goal: str) -> str:
        """One row: median seconds of both, and the median, least and greatest ratio A / B."""
        ratios = [a / b for a, b in zip(self.a, self.b, strict=True)]
        ratio = f"{median(ratios):8.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        return f"{name:<34} {1e3 * median(self.a):11.3f} {1e3 * median(self.b):11.3f}   {ratio:<28} {goal}"


def paired(a: Callable[[], object], b: Callable[[], object], repeats: int, clock: Clock = perf_counter) -> Paired:
    """Time A B A B ... after one call of each that is not counted."""
    a(), b()
    pairs = [(_seconds(a, clock), _seconds(b, clock)) for _ in range(repeats)]
    return Paired([first for first, _ in pairs], [second for _, second in pairs])


def _seconds(work: Callable[[], object], clock: Clock) -> float:
    start = clock()
    work()
    return clock() - start


def start(description: str | None, a: str, b: str, words: list[str] | None = None) -> int:
    """Settle on one thread, print where this runs and the table's head, and return --repeats.

    It is read from `words`, or else from the command line.
    """
    parser = ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=7, help="pairs that are timed")
    repeats: int = parser.parse_args(words).repeats
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {device_name(torch.device('cpu'))}, 1 thread, {repeats} pairs; medians")
    print(f"{'':<34} {a + ' ms':>11} {b + ' ms':>11}   {'ratio (least to greatest)':<28} goal")
    return repeats


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def gemm(size: int = 2048, device: torch.device | None = None) -> tuple[Callable[[], object], float]:
    """A square float32 matrix product, and its floating-point operations."""
    left, right = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    return (lambda: left @ right), 2.0 * size**3
