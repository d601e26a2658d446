"""Suggestive annotation: of the most uncertain images, choose those that represent the most others (Yang et al., 2017).

K preselected images, N unlabelled images, D features; the similarity of two images is the cosine of their features.
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

BLOCK = 2048  # rows and columns of the similarity matrix that are in memory at once
STALE = 16  # images whose gains are computed again at once


def facility_location(x: Tensor, others: Tensor, n: int, labelled: Tensor | None = None) -> Tensor:
    """Positions in `x` of `n` greedy choices that make sum_j max_i cos(x_i, others_j) large, [K, D], [N, D] -> [n].

    The result is at least 1 - 1/e of the maximum if no cosine is negative (Nemhauser, Wolsey & Fisher, 1978). Images
    `labelled`, [L, D], count as chosen already. Ties go to the earlier position. The search is lazy (Minoux, 1978): a
    gain can only fall, so a gain that was computed earlier is an upper bound. Memory besides the features O(K + N).
    """
    x, others = normalize(x), normalize(others)
    # -1 is the smallest cosine. The first choice then gains its sum plus N, even if cosines are negative.
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
            positions = stale.indices[stale.values > -torch.inf]
            bounds[positions], fresh[positions] = gains(x[positions], others, covered), True
    return torch.stack(chosen)


def cover(covered: Tensor, chosen: Tensor, others: Tensor) -> None:
    """Update `covered`, [N], the greatest cosine with any choice, for new choices; unit rows [M, D] and [N, D]."""
    for part, best in zip(others.split(BLOCK), covered.split(BLOCK), strict=True):
        torch.maximum(best, (part @ chosen.T).amax(1), out=best)


def gains(x: Tensor, others: Tensor, covered: Tensor) -> Tensor:
    """How far each of `x` alone would raise the sum of `covered`, unit rows [K, D], [N, D] and [N] -> float64 [K]."""
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rows, sums in zip(x.split(BLOCK), total.split(BLOCK), strict=True):
        for part, best in zip(others.split(BLOCK), covered.split(BLOCK), strict=True):
            sums.add_((rows @ part.T - best).clamp_min_(0).sum(1, dtype=torch.float64))
    return total


@options("strategy")
@dataclass(frozen=True)
class SuggestiveAnnotation(Through):
    """`uncertain` preselects a multiple of the query; facility location chooses those that represent the pool best.

    This is an adaptation to classification: an image's descriptor is the input of the last dense layer, side by side
    for the members of a committee. In the paper it is the mean of the last encoder's feature maps.
    """

    uncertain: Annotated[InstanceOf[Strategy], Means("the strategy that preselects")]
    preselected: Annotated[Count, Means("images that are preselected, as a multiple of the query")] = 2
    beside_labelled: Annotated[bool, Means("labelled images already represent the images that are like them")] = False

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
