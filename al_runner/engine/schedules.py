"""Learning rates that change during training, as factors of the optimiser's own rate at every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar

from al_runner.errors import UsageError

SHAPES = ("linear", "cosine")


@dataclass(frozen=True)
class Drops:
    """The rate is multiplied by `by` after each of so many checks."""

    after: Sequence[int]
    by: float = 0.1
    whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.by < 0:
            raise UsageError(f"training.schedule.by is {self.by}; it must be 0 or more (0.1 is the default)")

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        return self.by ** sum(checks * per_check <= step for checks in self.after)


@dataclass(frozen=True)
class OneCycle:
    """Up to the optimiser's rate in the first part of training, and down to the last step (Smith & Topin, 2019).

    `peak` is the share of the steps at which the rate is highest, `start` and `end` are factors of it. The same rates
    as torch's OneCycleLR of max_lr = the optimiser's rate, pct_start = peak, div_factor = 1 / start and
    final_div_factor = start / end, with momentum left alone.
    """

    peak: float = 0.3
    start: float = 0.04
    end: float = 4e-6
    shape: str = "cosine"
    whole: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("peak", "start", "end"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"training.schedule.{name} is {getattr(self, name)}; it must be in [0, 1]")
        if self.shape not in SHAPES:
            raise UsageError(f"training.schedule.shape is {self.shape}; it must be one of {', '.join(SHAPES)}")

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        top = self.peak * steps - 1
        if step <= top:
            return self._between(self.start, 1.0, step / top if top > 0 else 1.0)
        return self._between(1.0, self.end, (step - top) / (steps - 1 - top))

    def _between(self, first: float, last: float, way: float) -> float:
        """From `first` to `last`, `way` of it in [0, 1] done."""
        return first + (last - first) * (way if self.shape == "linear" else (1 - cos(pi * way)) / 2)
