"""UHerding: cover the pool, and the uncertain images above all (Bae, Oliveira & Sutherland, 2025).

N candidates, M unlabelled images, L labelled images, D features, Y classes.
"""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive, ProperShare
from al_runner.strategies.base import Strategy
from al_runner.strategies.calibrated import Calibrated, temperature_of, tempered
from al_runner.strategies.core_set import BLOCK, squared_distances
from al_runner.strategies.coverage import covering, points, smooth_herding
from al_runner.strategies.features import mean_log_probs_of
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, Learner

SAME = 1e-6  # a distance up to which two points are the same, in spite of rounding
START = 1.0  # width before there are two different labelled points


def least_distance(x: Tensor) -> float:
    """The least distance between two different points, [L, D]; infinite if there are none."""
    x, least = x.double(), inf
    for part in x.split(BLOCK):
        for other in x.split(BLOCK):
            squares = squared_distances(part, other)
            least = min(least, float(squares.masked_fill_(squares <= SAME**2, inf).min()))
    return sqrt(least)


@options("strategy")
@dataclass(frozen=True)
class UHerding(Strategy):
    """Greedy coverage in which an image counts by its uncertainty, 1 minus the margin of calibrated predictions.

    Distances are those of the pool's features of length 1. The kernel is as wide as the least distance between two
    labelled images: with few labels the choice is like MaxHerding's, with many like margin's. The temperature comes
    from a second fit in every round, on the labels that were bought first. For a net that another program trained it
    is 1.
    """

    width: Annotated[
        Positive | None,
        Means("of the kernel, between features of length 1; null: the least distance of labelled images"),
    ] = None
    held_out: Annotated[
        ProperShare, Means("share of the labelled images, those bought last, on which the temperature is found")
    ] = 0.3
    draws: ClassVar[bool] = True  # among ties

    def wrap(self, learner: Learner) -> Learner:
        return Calibrated(learner, self.held_out)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        weights = uncertainties(fitted, pool) if len(pool.labelled) else None
        width = self.width_of(points(pool, pool.labelled))
        return covering(pool, n, rng, smooth_herding("rbf", width, weights))

    def width_of(self, labelled: Tensor) -> float:
        """The kernel's width, from the labelled points, [L, D]."""
        least = least_distance(labelled) if self.width is None and len(labelled) > 1 else inf
        return self.width or (least if least < inf else START)


def uncertainties(fitted: Fitted, pool: Pool) -> Tensor:
    """1 - (p1 - p2) of the unlabelled images' two most likely classes, at the fit's temperature, [M] in [0, 1]."""
    probs = tempered(mean_log_probs_of(fitted, pool, pool.unlabelled), temperature_of(fitted))
    first, second = finite(probs, "a probability").topk(2).values.unbind(1)
    return 1 - (first - second)
