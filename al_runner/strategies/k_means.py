"""k-means: the most central image of every cluster of the candidates (Pourahmadi, Nooralinejad & Pirsiavash, 2021)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import spread
from al_runner.strategies.coverage import points
from al_runner.types import Fitted


@dataclass(frozen=True)
class KMeans(Strategy):
    """Makes as many clusters as the query has images, and buys the candidate nearest to each centre.

    The clusters are those of the pool's features, scaled to length 1, and labelled images have no part in them. It
    needs no fit, so it can choose the initial set.
    """

    draws: ClassVar[bool] = True  # the start of k-means
    without_fit: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        return ids[spread(points(pool, ids), n, rng)]
