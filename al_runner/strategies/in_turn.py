"""One strategy while labels are few, then another, as TCM does: TypiClust, then margin (Doucet et al., 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import InstanceOf
from torch import Tensor

from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive
from al_runner.strategies.base import Several, Strategy
from al_runner.strategies.choice import Choice
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class InTurn(Several):
    """Chooses with `first` while there are fewer than `until` labelled images a class, and then with `then`.

    It looks at the number of labelled images alone, so a resumed run changes at the same round. What the two change
    about training and the budget holds in all rounds. The TCM of Huseljic et al. (2025) counts queries instead, and
    changes after three of them.
    """

    first: Annotated[InstanceOf[Strategy], Means("the strategy for few labels")]
    then: Annotated[InstanceOf[Strategy], Means("the strategy for more labels")]
    until: Annotated[Positive, Means("labelled images a class, on average, from which on `then` chooses")]

    @property
    def inner(self) -> Sequence[Strategy]:
        return self.first, self.then

    def chooser(self, pool: Pool) -> Strategy:
        """The strategy whose turn it is."""
        return self.first if len(pool.labelled) < self.until * pool.classes else self.then

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor | Choice:
        return await self.chooser(pool).query(fitted, pool, n, streams)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return self.chooser(pool).select(fitted, pool, n, rng)
