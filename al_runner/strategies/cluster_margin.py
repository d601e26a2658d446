"""Cluster-Margin: images with small margins from different clusters of features (Citovsky et al., 2021).

N candidates, D features.
"""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from al_runner.budget import Budget
from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled, top
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.core_set import BLOCK, squared_distances
from al_runner.strategies.features import features_of
from al_runner.strategies.uncertainty import margin
from al_runner.types import Fitted


def clusters(x: Tensor, count: int) -> Tensor:
    """Cluster of every point, by average linkage cut at `count` clusters, [N, D] -> int64 [N]; memory O(N^2)."""
    if len(x) < 2:
        return torch.zeros(len(x), dtype=torch.int64, device=x.device)
    merges = linkage(distances(x.double().cpu()).numpy(), "average")
    merges[:, 2] = range(len(merges))  # ranks in place of distances, so that a cut between equal distances is possible
    labels = fcluster(merges, len(x) - count - 1, "distance") - 1
    return torch.from_numpy(labels).to(x.device, torch.int64)


def distances(x: Tensor) -> Tensor:
    """Distances of all pairs i < j, row by row, [N, D] -> [N (N - 1) / 2], from products of matrices."""
    centred = x - x.mean(0)  # which makes rounding errors smaller
    blocks = [squared_distances(rows, centred[BLOCK * at :]) for at, rows in enumerate(centred.split(BLOCK))]
    return torch.cat([block[torch.ones_like(block, dtype=torch.bool).triu(1)] for block in blocks]).sqrt_()


def round_robin(groups: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Positions of `n` members: the groups take turns, the smallest first, and each gives a random member, [N] -> [n].

    `groups` has the group of every position. An empty group is skipped. Of two groups with equal size the one with the
    lower number comes first (algorithm 2).
    """
    members: dict[int, list[int]] = {}
    for place in shuffled(torch.arange(len(groups)), rng).tolist():
        members.setdefault(int(groups[place]), []).append(place)
    by_size = sorted(members.items(), key=lambda item: (len(item[1]), item[0]))
    turns = zip_longest(*(own for _, own in by_size))
    return torch.tensor([place for turn in turns for place in turn if place is not None][:n], device=groups.device)


@options("strategy")
@dataclass(frozen=True)
class ClusterMargin(Strategy):
    """Preselects `uncertain` times the query, the candidates with the smallest margins; then its clusters take turns.

    The clusters are made again in every round, from the features of the net that was just trained. The paper makes
    them once, from the features of a net that is trained on the initial set.
    """

    uncertain: Annotated[
        Annotated[float, Ge(1)], Means("images with the smallest margins that are preselected, times the query")
    ] = 10.0
    cluster_size: Annotated[Count, Means("candidates in a cluster, on average")] = 10
    max_candidates: Annotated[
        Count,
        Means("the most images that a query chooses from, drawn at random; time and memory grow with their square"),
    ] = 10_000
    needs: ClassVar[Needs] = Needs(features=True)
    draws: ClassVar[bool] = True

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id  # so that ties don't depend on the order
        cluster = clusters(features_of(fitted, pool, ids), max(1, len(ids) // self.cluster_size))
        margins = margin(fitted.log_probs(pool.x(ids)))
        smallest = top(margins, round(self.uncertain * n)).sort().values
        return ids[smallest[round_robin(cluster[smallest], n, rng)]]
