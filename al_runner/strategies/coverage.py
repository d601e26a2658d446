"""Strategies that cover the pool: ProbCover (Yehuda et al., 2022) and MaxHerding (Bae et al., 2024).

N candidates, M points to be covered, L labelled points, D features. Both maximise the coverage
sum_j max over chosen i of k(x_i, x_j). MaxHerding's kernel is smooth; ProbCover's is 1 within a distance, otherwise 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive, ProperShare
from al_runner.strategies.balls import as_factors, ball_herding, purity_radius
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import clusters
from al_runner.strategies.lazy_greedy import Coverage, lazy_greedy
from al_runner.types import Fitted

# Kernels of squared distances / width^2. They change their argument in place.
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "rbf": lambda squares: squares.neg_().exp_(),
    "laplace": lambda squares: squares.sqrt_().neg_().exp_(),
    "cauchy": lambda squares: squares.add_(1).reciprocal_(),
}

NARROW = 0.05  # width below which products of single precision give points of length 1 wrong likenesses

Kernel = Callable[[Tensor], Tensor]  # likeness in [0, 1] from squared distances, entry by entry


def kernel_of(name: str, width: float) -> Kernel:
    """The kernel of squared distances that is called `name`; `width` is the distance that counts as 1.

    It changes its argument in place.
    """
    return lambda squares: KERNELS[name](squares.mul_(width**-2))


def likeness(left: Tensor, right: Tensor, kernel: Kernel) -> Tensor:
    """The kernel of every pair, from L of N points, [N, D + 2], and R of M, [M, D + 2] -> [N, M] in [0, 1]."""
    return kernel((left @ right.T).clamp_min_(0))


def herding(
    x: Tensor, others: Tensor, labelled: Tensor, n: int, kernel: Kernel, weights: Tensor | None = None
) -> Tensor:
    """Positions in `x` of `n` greedy choices that cover `others` best, [N, D], [M, D], [L, D] -> int64 [n].

    The points `labelled` cover `others` already. A point of `others` counts with its weight, [M], 0 or more, or all
    count 1. The greedy search is exact; ties go to the earlier position. Time O(N M D) for the first choice; memory
    O(N D + M D).
    """
    coverage = Coverage(as_factors(others)[1], partial(likeness, kernel=kernel), weights)
    coverage.add(as_factors(labelled)[0])
    return lazy_greedy(as_factors(x)[0], n, coverage)


def points(pool: Pool, ids: Tensor) -> Tensor:
    """The pool's features of `ids`, scaled to length 1, [N, D]."""
    return normalize(pool.features(ids))


Herding = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # `herding` with its kernel


def smooth_herding(name: str, width: float, weights: Tensor | None = None) -> Herding:
    """`herding` of points of length 1 by the kernel that is called `name`, `width` wide.

    A narrow kernel takes double precision: a point's squared distance to itself is then rounded to less than width^2.
    """

    def rule(x: Tensor, others: Tensor, labelled: Tensor, n: int) -> Tensor:
        if width < NARROW:
            x, others, labelled = x.double(), others.double(), labelled.double()
        return herding(x, others, labelled, n, kernel_of(name, width), weights)

    return rule


def covering(pool: Pool, n: int, rng: torch.Generator, rule: Herding) -> Tensor:
    """`n` candidates that cover the unlabelled images, with labelled images as choices already; chance breaks ties."""
    ids = shuffled(pool.candidates_by_id, rng)
    x, others, labelled = (points(pool, part) for part in (ids, pool.unlabelled, pool.labelled))
    return ids[rule(x, others, labelled, n)]


@options("strategy")
@dataclass(frozen=True)
class MaxHerding(Strategy):
    """Greedy coverage of the unlabelled images by a smooth kernel (Bae et al., 2024, algorithm 1).

    It uses the pool's features, scaled to length 1, and no fit. Labelled images cover the images near them already.
    """

    kernel: Annotated[Literal["rbf", "laplace", "cauchy"], Means("how likeness falls with distance")] = "rbf"
    width: Annotated[Positive, Means("distance that counts as 1, between features of length 1")] = 1.0
    draws: ClassVar[bool] = True  # among ties
    without_fit: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return covering(pool, n, rng, smooth_herding(self.kernel, self.width))


@options("strategy")
@dataclass(frozen=True)
class ProbCover(Strategy):
    """Greedy coverage of the unlabelled images by balls (Yehuda et al., 2022, algorithm 1).

    It uses the pool's features, scaled to length 1, and no fit. If `radius` is None, it is the largest at which a share
    `purity` of all balls holds points of one cluster only. k-means makes as many clusters as there are classes. All
    images of the pool count, labelled or not, so the radius is the same in every round, and is found once in a run.
    """

    radius: Annotated[
        Positive | None, Means("radius of a ball, between features of length 1; null: purity decides")
    ] = None
    purity: Annotated[
        ProperShare, Means("share of balls that hold points of one cluster only; used if radius is null")
    ] = 0.95
    draws: ClassVar[bool] = True  # among ties, and the start of k-means
    without_fit: ClassVar[bool] = True

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor:
        radius = self.radius_of(pool, streams)
        ids = shuffled(pool.candidates_by_id, streams("query"))
        x, labelled = points(pool, ids), points(pool, pool.labelled)
        others = x if len(ids) == len(pool.unlabelled) else points(pool, pool.unlabelled)
        return ids[ball_herding(x, others, labelled, n, radius)]

    def radius_of(self, pool: Pool, streams: Streams) -> float:
        """The radius of all balls, the same in every round."""
        return self.radius or pool.once(self, lambda: self.pure_radius(pool, streams.first_round()("clusters")))

    def pure_radius(self, pool: Pool, rng: torch.Generator) -> float:
        """The radius by `purity`; 1 if no radius above 0 has this purity, or if every radius has."""
        x = points(pool, torch.cat([pool.labelled, pool.unlabelled]).sort().values)
        radius = purity_radius(x, clusters(x, pool.classes, rng)[0], self.purity)
        return radius if 0 < radius < torch.inf else 1.0
