"""Learning rates that change during training: a factor of the optimiser's own rate for every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le

from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Means, NotNegative, ShareOrAll


@options("training.schedule")
@dataclass(frozen=True)
class Drops:
    """The learning rate is multiplied by `by` after each of the checks in `after`."""

    after: Annotated[Sequence[CountOrZero], Means("validations after which the learning rate is multiplied by `by`")]
    by: Annotated[NotNegative, Means("what the learning rate is multiplied by")] = 0.1
    whole: ClassVar[bool] = False

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        return self.by ** sum(checks * per_check <= step for checks in self.after)


@options("training.schedule")
@dataclass(frozen=True)
class Cosine:
    """The rate falls from the optimiser's own, cos(pi * turn * step / steps) times it (Sohn et al., 2020: 7/16)."""

    turn: Annotated[
        Annotated[float, Gt(0), Le(0.5)], Means("share of half a turn that the cosine makes; 0.5 ends with a rate of 0")
    ] = 0.4375
    whole: ClassVar[bool] = True

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        return cos(pi * self.turn * step / steps)


@options("training.schedule")
@dataclass(frozen=True)
class OneCycle:
    """The rate rises to the optimiser's own rate and then falls until the last step (Smith & Topin, 2019).

    It is highest after the share `peak` of the steps. The first and last rates are `start` and `end` times the highest.
    These are the rates of torch's OneCycleLR with max_lr = the optimiser's rate, pct_start = peak, div_factor = 1 /
    start and final_div_factor = start / end; the momentum does not change.
    """

    peak: Annotated[ShareOrAll, Means("share of the steps after which the rate is highest")] = 0.3
    start: Annotated[ShareOrAll, Means("factor of the rate at the first step")] = 0.04
    end: Annotated[ShareOrAll, Means("factor of the rate at the last step")] = 4e-6
    shape: Annotated[Literal["linear", "cosine"], Means("the curve on which the rate rises and falls")] = "cosine"
    whole: ClassVar[bool] = True

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        top = self.peak * steps - 1
        if step <= top:
            return self._between(self.start, 1.0, step / top if top > 0 else 1.0)
        return self._between(1.0, self.end, (step - top) / (steps - 1 - top))

    def _between(self, first: float, last: float, way: float) -> float:
        """The rate factor between `first` and `last` once the share `way` of the steps, in [0, 1], is done."""
        return first + (last - first) * (way if self.shape == "linear" else (1 - cos(pi * way)) / 2)
