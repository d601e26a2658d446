"""TypiClust: the most typical image of every cluster that has no label yet (Hacohen et al., 2022).

N points, D features.
"""

from dataclasses import dataclass
from itertools import cycle
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import clusters
from al_runner.strategies.core_set import BLOCK, squared_distances
from al_runner.strategies.coverage import points
from al_runner.types import Fitted


def typicality(x: Tensor, neighbours: int) -> Tensor:
    """1 / the mean distance to the nearest neighbours, [N, D] -> [N] (eq. 1).

    The number of neighbours is `neighbours`, or N / 2 rounded down if that is less. A single point has typicality 0.
    """
    k = min(neighbours, len(x) // 2)
    if k == 0:
        return x.new_zeros(len(x))
    shift = x.mean(0)  # distances stay the same, and their products have smaller rounding errors
    nearest = [squared_distances(rows - shift, x - shift).topk(k + 1, largest=False).values for rows in x.split(BLOCK)]
    return 1 / (torch.cat(nearest).sqrt()[:, 1:].mean(1) + 1e-5)  # the first is the point itself


@options("strategy")
@dataclass(frozen=True)
class TypiClust(Strategy):
    """Chooses the most typical candidate of each cluster (section 3.2).

    Clusters with the fewest labels come first; among them, the largest. k-means on labelled images and candidates makes
    as many clusters as there will be labels. Every cluster gives one image in turn; the choices do not change the
    order of the clusters, as in the published code. It uses the pool's features, scaled to length 1, and no fit.

    Typicality is that of the paper's equation, among all images of the cluster. The published code differs: it averages
    squared distances, and images that have a label or were just chosen are nobody's neighbours.
    """

    max_clusters: Annotated[Count, Means("the most clusters that k-means makes")] = 500
    neighbours: Annotated[Count, Means("how many nearest neighbours an image's typicality is computed from")] = 20
    left_out: Annotated[
        CountOrZero, Means("clusters of this many images or fewer are used only when all larger ones are used up")
    ] = 5
    draws: ClassVar[bool] = True  # the start of k-means
    without_fit: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = torch.cat([pool.labelled, pool.candidates_by_id])
        known = torch.arange(len(ids), device=ids.device) < len(pool.labelled)
        x = points(pool, ids)
        cluster = clusters(x, min(len(pool.labelled) + n, self.max_clusters), rng)[0]
        return ids[typical(x, cluster, known, n, self.neighbours, self.left_out)]


def typical(
    x: Tensor, cluster: Tensor, known: Tensor, n: int, neighbours: int, left_out: int, least: bool = False
) -> Tensor:
    """Positions of `n` points that are not `known`; `x` [N, D], `cluster` int64 [N], `known` bool [N] -> int64 [n].

    `neighbours` and `left_out` are the options of `TypiClust`. With `least`, a cluster gives its least typical points.
    """
    sizes = torch.bincount(cluster).tolist()
    labelled = torch.bincount(cluster[known], minlength=len(sizes)).tolist()
    order = sorted(range(len(sizes)), key=lambda label: (labelled[label], -sizes[label]))
    chosen: list[Tensor] = []
    for large in (True, False):
        queues = [
            _unknown_by_typicality(x, cluster, known, label, neighbours, least)
            for label in order
            if (sizes[label] > left_out) == large and sizes[label] > labelled[label]
        ]
        left = sum(map(len, queues))
        for queue in cycle(queues):
            if len(chosen) == n or not left:
                break
            if queue:
                chosen.append(queue.pop())
                left -= 1
    return torch.stack(chosen)


def _unknown_by_typicality(
    x: Tensor, cluster: Tensor, known: Tensor, label: int, neighbours: int, least: bool
) -> list[Tensor]:
    """Positions of a cluster's points that are not known, the most (or `least`) typical last.

    Among equals, the earliest is last.
    """
    at = (cluster == label).nonzero()[:, 0]
    order = at[typicality(x[at], neighbours).argsort(descending=not least, stable=True)]
    return [*order[~known[order]].flip(0)]
