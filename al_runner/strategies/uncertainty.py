"""Acquisition scores of single images, from the net's mean prediction. The highest scores are chosen.

N examples, K posterior samples, Y classes; log_probs [N, K, Y] in nats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.base import ByScore
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, mean_log_probs

SURE_AND_UNSURE = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]).log()  # two predictions that show a score's sign


def least_confidence(log_probs: Tensor) -> Tensor:
    """1 - max_y p(y | x), [N, K, Y] -> [N] in [0, 1 - 1/Y] (Lewis & Gale, 1994)."""
    # The other probabilities are summed: if the net is nearly certain, 1 - p would round to 0 for all images.
    others = mean_log_probs(log_probs).sort(1, descending=True).values[:, 1:]
    return others.exp().sum(1)


def margin(log_probs: Tensor) -> Tensor:
    """Minus the gap between the two most likely classes, [N, K, Y] -> [N] in [-1, 0] (Scheffer et al., 2001)."""
    first, second = mean_log_probs(log_probs).exp().topk(2).values.unbind(1)
    return second - first


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy of the mean prediction in nats, [N, K, Y] -> [N] in [0, ln Y] (Shannon, 1948)."""
    entropies: Tensor = torch.special.entr(mean_log_probs(log_probs).exp())
    return entropies.sum(1)


def uncertainty(log_probs: Tensor) -> Tensor:
    """-ln p(yhat | x), the loss if the prediction is right, [N, K, Y] -> [N] in [0, ln Y].

    Source: Ducoffe & Precioso (2017, section 5.1).
    """
    return -mean_log_probs(log_probs).amax(1)


def confidence(log_probs: Tensor) -> Tensor:
    """max_y p(y | x), [N, K, Y] -> [N] in [1/Y, 1].

    Its mean over a set of images is "max" of Kaeding et al. (2016, section 3).
    """
    return mean_log_probs(log_probs).exp().amax(1)


def curriculum(log_probs: Tensor) -> Tensor:
    """ln p(yhat | x): the most confident images first, [N, K, Y] -> [N] in [-ln Y, 0].

    It is the opposite of `uncertainty` (Ducoffe & Precioso, 2017, section 5.1), and orders single images as
    `confidence` does.
    """
    return mean_log_probs(log_probs).amax(1)


@options("strategy")
@dataclass(frozen=True)
class TopScore(ByScore):
    """The candidates, or the sets of candidates, with the highest mean score; ties go to the earlier one."""

    score: Annotated[Callable[[Tensor], Tensor], Means("the score that is computed from an image's predictions")]
    chooses_sets: ClassVar[bool] = True

    @property
    def at_least_0(self) -> bool:
        return bool((self.score(SURE_AND_UNSURE) >= 0).all())

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        return finite(self.score(fitted.log_probs(pool.x(ids))), "a score")
