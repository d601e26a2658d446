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
from al_runner.strategies.lazy_greedy import Coverage, lazy_greedy
from al_runner.types import Fitted


def facility_location(x: Tensor, others: Tensor, n: int, labelled: Tensor | None = None) -> Tensor:
    """Positions in `x` of `n` greedy choices that make sum_j max_i cos(x_i, others_j) large, [K, D], [N, D] -> [n].

    The result is at least 1 - 1/e of the maximum if no cosine is negative (Nemhauser, Wolsey & Fisher, 1978). Images
    `labelled`, [L, D], count as chosen already. Ties go to the earlier position.
    """
    x, others = normalize(x), normalize(others)
    # -1 is the smallest cosine. The first choice then gains its sum plus N, even if cosines are negative.
    coverage = Coverage(others, cosines, lowest=-1.0)
    if labelled is not None:
        coverage.add(normalize(labelled))
    return lazy_greedy(x, n, coverage)


def cosines(x: Tensor, y: Tensor) -> Tensor:
    """Of unit rows [N, D] and [M, D], [N, M]."""
    return x @ y.T


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
