"""Core-set: choose centres so that every image is close to one (Sener & Savarese, 2018).

N candidates, L labelled images, D features.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import features_of, outputs_of
from al_runner.types import Fitted

BLOCK = 1024  # rows and columns of a matrix of distances, or of likeness, that are in memory at once


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances, [N, D], [M, D] -> [N, M]; never below 0, in spite of rounding."""
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp_min_(0)


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Distance to the closest of `centres`, [N, D], [L, D] -> [N]; infinite if there are no centres."""
    least = x.new_full((len(x),), torch.inf)
    shift = x.mean(0)  # a shift of all points keeps distances, and makes rounding errors smaller
    for rows, kept in zip(x.split(BLOCK), least.split(BLOCK), strict=True):
        for part in centres.split(BLOCK) if len(centres) else ():
            torch.minimum(kept, squared_distances(rows - shift, part - shift).amin(1), out=kept)
    return least.sqrt_()


def k_center(x: Tensor, centres: Tensor, n: int) -> Tensor:
    """Positions in `x` of `n` new centres, each the point farthest from all centres so far, [N, D], [L, D] -> [n].

    The largest distance to a centre is at most twice the optimum (Gonzalez, 1985; Sener & Savarese, 2018, algorithm 1).
    Ties go to the earlier point. Time O((L + n) N D); memory besides the features O(N).
    """
    least, chosen = nearest(x, centres), []
    for _ in range(n):
        farthest = least.argmax()
        chosen.append(farthest)
        # For one centre most time goes into reading x, so the exact form is as fast as a matrix product.
        new = torch.cdist(x[farthest][None], x, compute_mode="donot_use_mm_for_euclid_dist")[0]
        torch.minimum(least, new, out=least)
        least[farthest] = -1  # below every distance, also a copy's 0, so that no point is chosen twice
    return torch.stack(chosen)


POINTS = {"inputs": features_of, "outputs": outputs_of}


@options("strategy")
@dataclass(frozen=True)
class CoreSet(Strategy):
    """The greedy k-center choice on the net's features; the labelled images are centres already.

    The paper measures distances between activations of the last fully connected layer. It does not say whether these
    are the layer's inputs or its outputs; the option `features` offers both.
    """

    features: Annotated[
        Literal["inputs", "outputs"], Means("the inputs of the last dense layer, or its outputs: one net's logits")
    ] = "inputs"

    @property
    def needs(self) -> Needs:
        return Needs(features=True, network=self.features == "outputs")

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        points_of = POINTS[self.features]
        centres = points_of(fitted, pool, pool.labelled)
        return pool.candidates[k_center(points_of(fitted, pool, pool.candidates), centres, n)]
