"""Suggestive annotation: of the most uncertain images, those that stand for most others (Yang et al., 2017).

K preselected images, N unlabelled images, D features; the likeness of two images is the cosine of their features.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import InstanceOf
from torch import Tensor
from torch.nn.functional import normalize

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.strategies.base import Strategy, Through
from al_runner.strategies.features import features_of
from al_runner.types import Fitted

BLOCK = 2048  # rows and columns of likeness that are held at once
STALE = 16  # images whose gain is computed anew at once


def facility_location(x: Tensor, others: Tensor, n: int, labelled: Tensor | None = None) -> Tensor:
    """Positions in `x` of `n` greedy choices for the most of sum_j max_i cos(x_i, others_j), [K, D], [N, D] -> [n].

    At least 1 - 1/e of the most there is, where no cosine is negative (Nemhauser, Wolsey & Fisher, 1978). Images
    `labelled`, [L, D], count as chosen before. Ties fall to the earlier position. Lazy (Minoux, 1978): a gain only ever
    falls, so that one computed earlier bounds it. Memory beyond the features O(K + N).
    """
    x, others = normalize(x), normalize(others)
    # The least cosine there is: the first choice then gains its sum plus N, also where cosines are negative.
    covered = others.new_full((len(others),), -1.0)
    for part in normalize(labelled).split(BLOCK) if labelled is not None else ():
        cover(covered, part, others)
    bounds = gains(x, others, covered)
    fresh = torch.ones_like(bounds, dtype=torch.bool)
    chosen: list[Tensor] = []
    while len(chosen) < n:
        best = bounds.argmax()
        if fresh[best]:
            chosen.append(best)
            cover(covered, x[best][None], others)
            bounds[best] = -torch.inf
            fresh.zero_()
        else:
            stale = bounds.masked_fill(fresh, -torch.inf).topk(min(STALE, len(bounds)))
            at = stale.indices[stale.values > -torch.inf]
            bounds[at], fresh[at] = gains(x[at], others, covered), True
    return torch.stack(chosen)


def cover(covered: Tensor, chosen: Tensor, others: Tensor) -> None:
    """Raise `covered`, the greatest cosine with a choice, [N], by more choices, unit rows [M, D] and [N, D]."""
    for part, held in zip(others.split(BLOCK), covered.split(BLOCK), strict=True):
        torch.maximum(held, (part @ chosen.T).amax(1), out=held)


def gains(x: Tensor, others: Tensor, covered: Tensor) -> Tensor:
    """By how much each of `x` would raise the sum of `covered`, unit rows [K, D], [N, D] and [N] -> float64 [K]."""
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rows, sums in zip(x.split(BLOCK), total.split(BLOCK), strict=True):
        for part, held in zip(others.split(BLOCK), covered.split(BLOCK), strict=True):
            sums.add_((rows @ part.T - held).clamp_min_(0).sum(1, dtype=torch.float64))
    return total


@options("strategy")
@dataclass(frozen=True)
class SuggestiveAnnotation(Through):
    """`uncertain` preselects a multiple of the query, and facility location chooses for all unlabelled images.

    An adaptation to classification: an image's descriptor is what the last dense layer sees, side by side for the
    members of a committee, in place of the mean of the last encoder's feature maps.
    """

    uncertain: Annotated[InstanceOf[Strategy], Means("the strategy that preselects")]
    preselected: Annotated[Count, Means("images that are preselected, times the query")] = 2
    beside_labelled: Annotated[bool, Means("what a labelled image stands for already counts as covered")] = False

    @property
    def inner(self) -> Strategy:
        return self.uncertain

    @property
    def needs(self) -> Needs:
        return self.uncertain.needs | Needs(features=True)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        preselected = self.uncertain.select(fitted, pool, min(self.preselected * n, len(pool.candidates)), rng)
        labelled = features_of(fitted, pool, pool.labelled) if self.beside_labelled else None
        x, others = (features_of(fitted, pool, ids) for ids in (preselected, pool.unlabelled))
        return preselected[facility_location(x, others, n, labelled)]
