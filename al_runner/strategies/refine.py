"""REFINE: strategies narrow the pool down, level by level, and one of them chooses (Huseljic et al., 2025)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor

from al_runner.budget import Budget
from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, Few, Fraction, Means
from al_runner.strategies.base import Several, Strategy
from al_runner.strategies.choice import Choice
from al_runner.strategies.proposals import proposals, require_choosers
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class Refine(Several):
    """In every level the proposers choose batches in turn, each from a random part of the images that are left.

    What is in no batch is dropped. So an image stays if some strategy wants it, and no strategy must be right for every
    number of labels. `last` makes the query from the images that are left after all levels.
    """

    proposers: Annotated[AtLeastOne[InstanceOf[Strategy]], Means("the strategies that propose batches, in turn")]
    last: Annotated[InstanceOf[Strategy], Means("the strategy that chooses from the images that are left at the end")]
    levels: Annotated[Few, Means("how often the images are narrowed down")] = 5
    batches: Annotated[Few, Means("batches that are proposed in a level")] = 99
    first: Annotated[Count, Means("images from which a batch of the first level is chosen")] = 5000
    part: Annotated[Fraction, Means("share of the images left from which a batch of a later level is chosen")] = 0.4
    most: Annotated[Count, Means("images that may be left after a level; of more, a random part")] = 10_000
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_choosers(self.proposers, "proposers")
        require_choosers([self.last], "last")

    @property
    def inner(self) -> Sequence[Strategy]:
        return [*self.proposers, self.last]

    def plan(self, budget: Budget) -> Budget:
        """The `max_candidates` of a proposer limits the parts that it chooses from, and not the images in level 1."""
        super().plan(budget)  # an error if a strategy can't choose from as many images as a query buys
        return self.last.plan(budget)

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor | Choice:
        left, size = pool.among(pool.candidates_by_id), self.first
        for level in range(self.levels):
            own = streams.of(f"level {level}")
            union = torch.cat(await proposals(self.proposers, self.batches, fitted, left, size, n, own)).unique()
            left = left.among(shuffled(union, own("most"))[: max(n, self.most)])
            size = int(self.part * len(left.candidates))
        return await self.last.query(fitted, left, n, streams.of("last"))
