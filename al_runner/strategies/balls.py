"""Balls of one radius that cover points: greedy choices of their centres, and a radius at which they are pure.

N candidates, M points to be covered, L labelled points, P pairs, D features.
"""

from math import floor

import torch
from torch import Tensor

from al_runner.strategies.core_set import BLOCK, squared_distances

PAIR = 4  # numbers of 4 bytes that a pair takes


def as_factors(x: Tensor) -> tuple[Tensor, Tensor]:
    """L and R with |x_i - x_j|^2 = L_i . R_j, up to rounding, [N, D] -> [N, D + 2] twice."""
    ones, squares = x.new_ones(len(x), 1), x.square().sum(1, keepdim=True)
    return torch.cat([-2 * x, squares, ones], 1), torch.cat([x, ones, squares], 1)


def ball_herding(x: Tensor, others: Tensor, labelled: Tensor, n: int, radius: float) -> Tensor:
    """`herding` by balls: a point covers what is closer than `radius`, [N, D], [M, D], [L, D] -> int64 [n].

    Each of `others` is covered once and for all, so a gain falls by what was newly covered nearby. Time O(N M D) in
    all; memory O(N D + M D): the list of all close pairs is used only if it is no larger than the points. If `others`
    is `x` itself, each distance is computed once for both of its points.
    """
    (left, _), (_, known), (of_others, right) = map(as_factors, (x, labelled, others))
    free = counted(of_others, known, radius) == 0
    mirrored = x is others and 2 * int(free.sum()) >= len(x)
    columns = (free | mirrored).nonzero()[:, 0]
    pairs = close_pairs(left, right[columns], radius, left.numel() // PAIR, mirrored)
    if pairs is None:
        return by_distances(left, right, free, n, radius)
    first, second = pairs[0], columns[pairs[1]]
    return by_pairs(first[free[second]], second[free[second]], len(left), free, n)


def by_pairs(first: Tensor, second: Tensor, count: int, free: Tensor, n: int) -> Tensor:
    """Positions of `n` greedy choices among `count` points, from all pairs of a point and a free point in its ball.

    int64 [P] twice, sorted by the first; bool [M] -> int64 [n]. A gain falls once for every pair.
    """
    gains = torch.bincount(first, minlength=count)
    starts = torch.cat([gains.new_zeros(1), gains.cumsum(0)])
    order, sizes = second.argsort(stable=True), torch.bincount(second, minlength=len(free))
    around, ends = first[order], sizes.cumsum(0)  # who has a free point in its ball, one free point after another
    open_, chosen = free.clone(), list[Tensor]()
    while len(chosen) < n:
        chosen.append(gains.argmax())
        ball = second[starts[chosen[-1]] : starts[chosen[-1] + 1]]
        new = ball[open_[ball]]
        open_[new] = False
        shift = ends[new] - sizes[new].cumsum(0)
        places = torch.arange(int(sizes[new].sum()), device=first.device) + shift.repeat_interleave(sizes[new])
        gains -= torch.bincount(around[places], minlength=count)
        gains[chosen[-1]] = -len(free) - 1  # below every gain, so that no point is chosen twice
    return torch.stack(chosen)


def close_pairs(left: Tensor, right: Tensor, radius: float, most: int, mirrored: bool) -> tuple[Tensor, Tensor] | None:
    """All pairs closer than `radius`, sorted by the first, from L [N, D + 2] and R [M, D + 2] -> int64 [P] twice.

    None if there are more than `most` pairs. If `mirrored`, both are the same points, and half of the pairs are
    computed.
    """
    pairs, number = [left.new_zeros(2, 0, dtype=torch.int64)], 0
    for i in range(0, len(left), BLOCK):
        for j in range(i if mirrored else 0, len(right), BLOCK):
            near = (left[i : i + BLOCK] @ right[j : j + BLOCK].T < radius**2).nonzero().T
            near[0] += i
            near[1] += j
            both = [near, near.flip(0)] if mirrored and j > i else [near]
            pairs, number = pairs + both, number + len(both) * near.shape[1]
        if number > most:
            return None
    first, second = torch.cat(pairs, 1)
    order = first.argsort(stable=True)
    return first[order], second[order]


def by_distances(left: Tensor, right: Tensor, free: Tensor, n: int, radius: float) -> Tensor:
    """The same choices without a list, from L [N, D + 2], R [M, D + 2] and the points that are `free`, bool [M].

    What was newly covered is subtracted from all gains once it concerns the highest one; until then the others are
    upper bounds.
    """
    gains, pending = counted(left, right[free], radius), right[:0]
    chosen: list[Tensor] = []
    while len(chosen) < n:
        best = gains.argmax()
        if bool((pending @ left[best] < radius**2).any()):
            gains -= counted(left, pending, radius)
            pending = right[:0]
            continue
        chosen.append(best)
        new = (right @ left[best] < radius**2) & free
        free &= ~new
        pending = torch.cat([pending, right[new]])
        gains[best] = -len(right) - 1  # below every gain, so that no point is chosen twice
    return torch.stack(chosen)


def counted(left: Tensor, right: Tensor, radius: float) -> Tensor:
    """How many of M points are closer than `radius` to each of N, from L [N, D + 2] and R [M, D + 2] -> int64 [N]."""
    total = torch.zeros(len(left), dtype=torch.int64, device=left.device)
    for part in right.split(BLOCK) if len(right) else ():
        total += torch.cat([(rows @ part.T < radius**2).sum(1) for rows in left.split(BLOCK)])
    return total


def purity_radius(x: Tensor, labels: Tensor, purity: float) -> float:
    """The largest radius at which a share `purity` of all balls is pure, [N, D], [N] (Yehuda et al., 2022, 4.2).

    A ball is pure if all points closer than the radius have the label of its centre. A ball's largest pure radius is
    the distance from its centre to the nearest point of another label, so the result is one of these distances. It is
    infinite if all points have one label. Time O(N^2 D), memory O(N) besides the features.
    """
    radii = x.new_full((len(x),), torch.inf)
    parts = list(zip(x.split(BLOCK), labels.split(BLOCK), radii.split(BLOCK), strict=True))
    for place, (rows, own, kept) in enumerate(parts):
        for others, theirs, theirs_kept in parts[place:]:  # a distance serves both of its points
            squares = squared_distances(rows, others).masked_fill_(own[:, None] == theirs, torch.inf)
            torch.minimum(kept, squares.amin(1), out=kept)
            torch.minimum(theirs_kept, squares.amin(0), out=theirs_kept)
    rank = floor((1 - purity) * len(x) + 1e-9)  # how many balls may be impure
    return float(radii.sqrt().sort().values[min(rank, len(x) - 1)])
