"""Greedy choices that maximise coverage: the sum over points of the greatest likeness to a choice.

N points to choose from, M points to be covered, D features.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from al_runner.strategies.core_set import BLOCK

FEW = 32  # how many gains are computed again at once, at first: fewer make slow matrix products

Likeness = Callable[[Tensor, Tensor], Tensor]  # of every pair of choices [N, D] and points [M, ...] -> [N, M]


class Coverage:
    """How well points are covered, and what more choices would add.

    The coverage is the sum over points y of w_y max_c likeness(c, y), c being the choices, w_y the weight of y, 0 or
    more. The maximum begins at `lowest`, which no likeness is below.
    """

    def __init__(self, points: Tensor, likeness: Likeness, weights: Tensor | None = None, lowest: float = 0.0):
        """From points [M, ...], which `likeness` understands, and weights [M]; without weights all are 1."""
        self.points, self.likeness = points, likeness
        self.weights = points.new_ones(len(points)) if weights is None else weights.to(points)
        self.covered = points.new_full((len(points),), lowest)  # the greatest likeness to a choice so far

    def add(self, chosen: Tensor) -> None:
        """Count the points `chosen`, [N, D], among the choices."""
        for rows in chosen.split(BLOCK) if len(chosen) else ():
            for part, covered in zip(self.points.split(BLOCK), self.covered.split(BLOCK), strict=True):
                torch.maximum(covered, self.likeness(rows, part).amax(0), out=covered)

    def gains(self, x: Tensor) -> Tensor:
        """How much each of `x` would raise the coverage, [N, D] -> float64 [N]. Time O(N M D)."""
        parts = list(zip(*(of.split(BLOCK) for of in (self.points, self.covered, self.weights)), strict=True))
        totals = []
        for rows in x.split(BLOCK):
            totals.append(torch.zeros(len(rows), dtype=torch.float64, device=x.device))
            for points, covered, weights in parts:
                totals[-1] += self.likeness(rows, points).sub_(covered).clamp_min_(0) @ weights
        return torch.cat(totals)


def lazy_greedy(x: Tensor, n: int, coverage: Coverage) -> Tensor:
    """Positions in `x` of `n` greedy choices, [N, D] -> int64 [n]; `coverage` then counts them among its choices.

    The choices raise the coverage by at least 1 - 1/e of the largest possible rise (Nemhauser, Wolsey & Fisher, 1978).
    Ties go to the earlier position. The search is lazy (Minoux, 1978): a gain can only fall, so an earlier gain is an
    upper bound, and the choices are those of a plain greedy search. Memory O(N + M) besides the features.
    """
    bounds = coverage.gains(x)
    fresh, looks = torch.ones_like(bounds, dtype=torch.bool), FEW
    chosen: list[Tensor] = []
    while len(chosen) < n:
        best = bounds.argmax()
        if fresh[best]:
            chosen.append(best)
            coverage.add(x[best][None])
            bounds[best] = -torch.inf
            fresh.zero_()
            looks = FEW
        else:
            stale = bounds.masked_fill(fresh, -torch.inf).topk(min(looks, len(bounds)))
            at = stale.indices[stale.values > -torch.inf]
            bounds[at], fresh[at] = coverage.gains(x[at]), True
            looks *= 2  # one product for many is cheaper than many products
    return torch.stack(chosen)
