"""Greedy choices that maximise coverage: the sum over points of the greatest likeness to a choice.

N points to choose from, M points to be covered, D features.
"""

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 2048  # rows and columns of likeness that are in memory at once
STALE = 16  # how many gains are computed again at once

Likeness = Callable[[Tensor, Tensor], Tensor]  # the likeness of every pair, [N, D], [M, D] -> [N, M]


def lazy_greedy(x: Tensor, others: Tensor, n: int, covered: Tensor, likeness: Likeness) -> Tensor:
    """Positions in `x` of `n` greedy choices, [N, D], [M, D] -> int64 [n].

    `covered`, [M], is the greatest likeness of each of `others` to a choice so far; it is updated in place. The choices
    raise its sum by at least 1 - 1/e of the largest possible rise (Nemhauser, Wolsey & Fisher, 1978). Ties go to the
    earlier position. The search is lazy (Minoux, 1978): a gain can only fall, so an earlier gain is an upper bound, and
    the choices are those of a plain greedy search. Memory O(N + M) besides the features.
    """
    bounds = gains(x, others, covered, likeness)
    fresh = torch.ones_like(bounds, dtype=torch.bool)
    chosen: list[Tensor] = []
    while len(chosen) < n:
        best = bounds.argmax()
        if fresh[best]:
            chosen.append(best)
            cover(covered, x[best][None], others, likeness)
            bounds[best] = -torch.inf
            fresh.zero_()
        else:
            stale = bounds.masked_fill(fresh, -torch.inf).topk(min(STALE, len(bounds)))
            at = stale.indices[stale.values > -torch.inf]
            bounds[at], fresh[at] = gains(x[at], others, covered, likeness), True
    return torch.stack(chosen)


def cover(covered: Tensor, chosen: Tensor, others: Tensor, likeness: Likeness) -> None:
    """Update `covered`, the greatest likeness to a choice, [M], in place for more choices, [N, D]."""
    for part, part_covered in zip(others.split(BLOCK), covered.split(BLOCK), strict=True):
        torch.maximum(part_covered, likeness(part, chosen).amax(1), out=part_covered)


def gains(x: Tensor, others: Tensor, covered: Tensor, likeness: Likeness) -> Tensor:
    """How much each of `x` would raise the sum of `covered`, [N, D], [M, D] and [M] -> float64 [N]."""
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rows, sums in zip(x.split(BLOCK), total.split(BLOCK), strict=True):
        for part, part_covered in zip(others.split(BLOCK), covered.split(BLOCK), strict=True):
            sums.add_((likeness(rows, part) - part_covered).clamp_min_(0).sum(1, dtype=torch.float64))
    return total
