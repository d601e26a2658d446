"""Learners that change how another learner trains."""

from dataclasses import dataclass

from al_runner.needs import Gives
from al_runner.types import Learner


@dataclass(frozen=True)
class Wrapped:
    """What a strategy's `wrap` returns: a learner that fits with the help of `base`. Subclasses define `fit`."""

    base: Learner

    @property
    def continues(self) -> bool:
        return self.base.continues

    @property
    def gives(self) -> Gives:
        return self.base.gives
