"""Random sampling, the baseline of every comparison."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool, random_ids
from al_runner.strategies.base import Strategy
from al_runner.types import Fitted


@dataclass(frozen=True)
class Random(Strategy):
    """Draws at random: every candidate, or every set of candidates, is equally likely."""

    chooses_sets: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    without_fit: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return random_ids(pool, n, rng)
