"""Strategies that cover the pool: ProbCover (Yehuda et al., 2022) and MaxHerding (Bae et al., 2024).

N candidates, M points to be covered, L labelled points, D features. Both maximise the coverage
sum_j max over chosen i of k(x_i, x_j). MaxHerding's kernel is smooth; ProbCover's is 1 within a distance, otherwise 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import floor
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from al_runner.pool import Pool, shuffled
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive, ProperShare
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import clusters
from al_runner.strategies.core_set import squared_distances
from al_runner.strategies.lazy_greedy import BLOCK, cover, lazy_greedy
from al_runner.types import Fitted

# Kernels of squared distances / width^2. They change their argument in place.
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "rbf": lambda squares: squares.neg_().exp_(),
    "laplace": lambda squares: squares.sqrt_().neg_().exp_(),
    "cauchy": lambda squares: squares.add_(1).reciprocal_(),
    "tophat": lambda squares: (squares < 1).to(squares.dtype),
}


def likeness(x: Tensor, y: Tensor, kernel: str, width: float) -> Tensor:
    """The kernel of every pair, [N, D], [M, D] -> [N, M] in [0, 1]; `width` is the distance that counts as 1."""
    return KERNELS[kernel](squared_distances(x, y) / width**2)


def herding(x: Tensor, others: Tensor, labelled: Tensor, n: int, kernel: str = "rbf", width: float = 1.0) -> Tensor:
    """Positions in `x` of `n` greedy choices that cover `others` best, [N, D], [M, D], [L, D] -> int64 [n].

    The points `labelled` cover `others` already. The greedy search is exact; ties go to the earlier position. Time
    O(N M D) for the first choice; memory O(N + M) besides the features.
    """
    alike = partial(likeness, kernel=kernel, width=width)
    covered = others.new_zeros(len(others))
    for part in labelled.split(BLOCK) if len(labelled) else ():
        cover(covered, part, others, alike)
    return lazy_greedy(x, others, n, covered, alike)


def purity_radius(x: Tensor, labels: Tensor, purity: float) -> float:
    """The largest radius at which a share `purity` of all balls is pure, [N, D], [N] (Yehuda et al., 2022, 4.2).

    A ball is pure if all points closer than the radius have the label of its centre. A ball's largest pure radius is
    the distance from its centre to the nearest point of another label, so the result is one of these distances. It is
    infinite if all points have one label.
    """
    radii = x.new_full((len(x),), torch.inf)
    for rows, own, kept in zip(x.split(BLOCK), labels.split(BLOCK), radii.split(BLOCK), strict=True):
        for part, theirs in zip(x.split(BLOCK), labels.split(BLOCK), strict=True):
            squares = squared_distances(rows, part).masked_fill_(own[:, None] == theirs, torch.inf)
            torch.minimum(kept, squares.amin(1), out=kept)
    rank = floor((1 - purity) * len(x) + 1e-9)  # how many balls may be impure
    return float(radii.sqrt().sort().values[min(rank, len(x) - 1)])


def points(pool: Pool, ids: Tensor) -> Tensor:
    """The pool's features of `ids`, scaled to length 1, [N, D]."""
    return normalize(pool.features(ids))


@dataclass(frozen=True)
class Covering(Strategy):
    """Chooses the candidates that cover the unlabelled images best; a subclass gives the kernel.

    It uses the pool's features, scaled to length 1, and no fit. Labelled images cover the images near them already.
    """

    draws: ClassVar[bool] = True  # among ties
    without_fit: ClassVar[bool] = True

    def kernel_of(self, pool: Pool, rng: torch.Generator) -> tuple[str, float]:
        """The kernel and its width."""
        raise NotImplementedError

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = shuffled(pool.candidates_by_id, rng)
        kernel, width = self.kernel_of(pool, rng)
        x, others, labelled = (points(pool, part) for part in (ids, pool.unlabelled, pool.labelled))
        return ids[herding(x, others, labelled, n, kernel, width)]


@options("strategy")
@dataclass(frozen=True)
class MaxHerding(Covering):
    """Greedy coverage by a smooth kernel (Bae et al., 2024, algorithm 1)."""

    kernel: Annotated[Literal["rbf", "laplace", "cauchy"], Means("how likeness falls with distance")] = "rbf"
    width: Annotated[Positive, Means("distance that counts as 1, between features of length 1")] = 1.0

    def kernel_of(self, pool: Pool, rng: torch.Generator) -> tuple[str, float]:
        return self.kernel, self.width


@options("strategy")
@dataclass(frozen=True)
class ProbCover(Covering):
    """Greedy coverage by balls (Yehuda et al., 2022, algorithm 1).

    If `radius` is None, it is the largest at which a share `purity` of all balls holds points of one cluster only.
    k-means makes as many clusters as there are classes.
    """

    radius: Annotated[
        Positive | None, Means("radius of a ball, between features of length 1; null: purity decides")
    ] = None
    purity: Annotated[
        ProperShare, Means("share of balls that hold points of one cluster only; used if radius is null")
    ] = 0.95

    def kernel_of(self, pool: Pool, rng: torch.Generator) -> tuple[str, float]:
        if self.radius is not None:
            return "tophat", self.radius
        x = points(pool, torch.cat([pool.labelled, pool.unlabelled]).sort().values)
        radius = purity_radius(x, clusters(x, pool.classes, rng)[0], self.purity)
        return "tophat", radius if 0 < radius < torch.inf else 1.0
