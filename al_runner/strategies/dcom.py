"""DCoM: uncertain images where the pool is dense and no label covers it yet (Mishal & Weinshall, 2024).

L labelled images, M other images of the pool, N candidates, D features, Y classes.
"""

from dataclasses import dataclass
from math import exp
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Fraction, Means, Positive
from al_runner.strategies.balls import as_factors, counted
from al_runner.strategies.base import Strategy
from al_runner.strategies.core_set import BLOCK, squared_distances
from al_runner.strategies.coverage import ProbCover, points
from al_runner.strategies.features import mean_log_probs_of
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted

ROUNDING = 1e-6  # of a count: a share of exactly `purity` is pure


def competence(coverage: float, steepness: float, centre: float) -> float:
    """How far the net is trusted at this coverage, in [0, 1]; 1 if everything is covered."""
    return (1 + exp(-steepness * (1 - centre))) / (1 + exp(-steepness * (coverage - centre)))


def pure_radii(
    centres: Tensor, own: Tensor, x: Tensor, labels: Tensor, purity: float, widest: float, step: float
) -> Tensor:
    """A radius for each centre, [L, D], at which a share `purity` of its ball has its label `own`, [L] -> [L].

    `x` [L + M, D] with `labels` [L + M] are all points. Found by bisection of 0 .. `widest`, down to intervals of at
    most `step`; the result is the middle of the last interval. Time O(L (L + M) D).
    """
    found = []
    for rows, mine in zip(centres.split(BLOCK), own.split(BLOCK), strict=True):
        distances, same = squared_distances(rows, x).sqrt_(), mine[:, None] == labels
        low, width = distances.new_zeros(len(rows)), widest
        while width > step:
            width /= 2
            inside = distances < low[:, None] + width
            pure = (inside & same).sum(1) >= purity * inside.sum(1).double() - ROUNDING
            low += width * pure.to(low)
        found.append(low + width / 2)
    return torch.cat(found)


def covered(x: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """Which points are closer to a centre than its radius, [M, D], [L, D], [L] -> bool [M]."""
    inside = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for part, reach in zip(centres.split(BLOCK), radii.split(BLOCK), strict=True):
        inside |= torch.cat([(squared_distances(rows, part).sqrt_() < reach).any(1) for rows in x.split(BLOCK)])
    return inside


def dense_and_uncertain(x: Tensor, uncertainty: Tensor, free: Tensor, n: int, radius: float, trust: float) -> Tensor:
    """Positions of `n` greedy choices, [N, D] -> int64 [n]; ties go to the earlier position.

    The score is `trust` times the uncertainty, [N], plus (1 - `trust`) times the density, each divided by its greatest
    value among the points that are left. The density of a point is how many of the points `free`, [M, D], are closer
    than `radius`. Those of a choice are free no longer.
    """
    left, right = as_factors(x)[0], as_factors(free)[1]
    density = counted(left, right, radius)
    open_, chosen = torch.ones(len(x), dtype=torch.bool, device=x.device), list[Tensor]()
    while len(chosen) < n:
        score = trust * of_greatest(uncertainty * open_) + (1 - trust) * of_greatest(density * open_)
        chosen.append(score.masked_fill(~open_, -1).argmax())
        open_[chosen[-1]] = False
        near = right @ left[chosen[-1]] < radius**2
        density -= counted(left, right[near], radius)
        right = right[~near]
    return torch.stack(chosen)


def of_greatest(values: Tensor) -> Tensor:
    """The values, 0 or more, divided by the greatest of them; 0 if all are 0."""
    return values / (values.max() if bool(values.any()) else 1)


@options("strategy")
@dataclass(frozen=True)
class DCoM(Strategy):
    """Balls around labelled images cover the pool; with few covered it buys by density, with many by uncertainty.

    A ball is as large as its purity allows, by the predictions for images without labels. It must be the purer, the
    more is covered by balls of one radius, `start`. The published code finds a ball's radius once, in the round after
    its purchase, and keeps it. Here all radii are found anew by the newest net, so a choice depends on nothing but the
    labels and this net. Distances are those of the pool's features, scaled to length 1.
    """

    start: Annotated[
        Positive | None, Means("radius of all balls before their purity is known; null: that of prob_cover")
    ] = None
    widest: Annotated[Positive, Means("the largest radius, between features of length 1")] = 1.1
    step: Annotated[Positive, Means("how exactly a radius is found")] = 0.05
    steepness: Annotated[Positive, Means("how fast uncertainty replaces density as coverage grows")] = 50.0
    centre: Annotated[Fraction, Means("the coverage at which they weigh about the same")] = 0.8
    draws: ClassVar[bool] = True  # among ties

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor:
        known, others = pool.labelled, pool.unlabelled
        both = torch.cat([known, others])
        probs = finite(mean_log_probs_of(fitted, pool, both).exp(), "a probability")
        x, labels = points(pool, both), probs.argmax(1)
        centres, free, labels[: len(known)] = x[: len(known)], x[len(known) :], pool.y(known)
        first = covered(free, centres, x.new_full((len(known),), self.start_of(pool, streams)))
        purity = 0.4 + 0.2 * share(first, len(known))
        radii = pure_radii(centres, pool.y(known), x, labels, purity, self.widest, self.step)
        inside = covered(free, centres, radii)
        trust = competence(share(inside, len(known)), self.steepness, self.centre)
        ids = shuffled(pool.candidates_by_id, streams("query"))
        uncertainty = uncertainties(probs)[len(known) :][torch.searchsorted(others, ids)]
        chosen = dense_and_uncertain(points(pool, ids), uncertainty, free[~inside], n, float(radii.mean()), trust)
        return ids[chosen]

    def start_of(self, pool: Pool, streams: Streams) -> float:
        """The radius of all balls before their purity is known, the same in every round."""
        return self.start or ProbCover().radius_of(pool, streams)


def share(covered: Tensor, known: int) -> float:
    """The share of all images that is covered: bool [M], and `known` labelled ones, each in its own ball."""
    return (known + int(covered.sum())) / (known + len(covered))


def uncertainties(probs: Tensor) -> Tensor:
    """1 - (p1 - p2) of the two most likely classes, [N, Y] -> [N], moved and scaled so that it goes from 0 to 1."""
    first, second = probs.topk(2).values.unbind(1)
    return of_greatest((gap := first - second).max() - gap)
