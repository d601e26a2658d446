"""Learners and fits that change another one: they pass on everything that they do not override."""

from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from al_runner.needs import Gives
from al_runner.types import Fitted, Learner

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Wrapped:
    """A learner that fits with the help of `base`, as a strategy's `wrap` may return one. Subclasses define `fit`."""

    base: Learner

    @property
    def continues(self) -> bool:
        return self.base.continues

    @property
    def gives(self) -> Gives:
        return self.base.gives


@dataclass(frozen=True)
class WrappedFit:
    """A fit that predicts as `fitted` does."""

    fitted: Fitted

    @property
    def steps(self) -> int:
        return self.fitted.steps

    def log_probs(self, x: Tensor) -> Tensor:
        return self.fitted.log_probs(x)

    def features(self, x: Tensor) -> Tensor:
        return self.fitted.features(x)

    def network(self) -> nn.Module:
        return self.fitted.network()


def inner(previous: Fitted | None, kind: type[WrappedFit]) -> Fitted | None:
    """What a wrapped learner gives its base as the previous fit: the fit inside its own `kind`, or else `previous`."""
    return previous.fitted if isinstance(previous, kind) else previous


def part_of(fitted: object, kind: type[Kind]) -> Kind | None:
    """The fit of this kind: `fitted` itself or one that it wraps, directly or not; None if there is none."""
    while fitted is not None and not isinstance(fitted, kind):
        fitted = getattr(fitted, "fitted", None)
    return fitted
