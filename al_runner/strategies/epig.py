"""EPIG: choose images whose labels would tell most about the predictions for others (Bickford Smith et al., 2023).

N candidates, M targets, K posterior samples, Y classes.
"""

from dataclasses import dataclass
from math import log
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled, top
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.strategies.base import ByScore
from al_runner.strategies.ranges import in_range
from al_runner.system.chunks import rows_within
from al_runner.types import Fitted, mean_log_probs

NUMBERS = 2**22  # the most numbers in the joint predictions that are in memory at once


def epig(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Mean mutual information I[y; y*] with the targets' labels, in nats, [N, K, Y] and [M, K, Y] -> [N] in [0, ln Y].

    Expected predictive information gain (Bickford Smith et al., 2023, eq. 4): the divergence of the joint prediction,
    the mean of p(y | x, w) p(y* | x*, w) over samples w, from the product of the two predictions. Raises
    ArithmeticError if a prediction is NaN.
    """
    samples, classes = log_probs.shape[1:]
    given = targets.double()
    other, others = mean_log_probs(given).flatten(), given.exp().movedim(1, 0).flatten(1) / samples  # [M Y], [K, M Y]
    scores = []
    for part in log_probs.split(rows_within(NUMBERS, classes * others.shape[1])):
        own = part.double()
        joint = own.exp().mT @ others  # [n, Y, M Y]
        ratio = joint.log() - mean_log_probs(own)[:, :, None] - other
        scores.append(torch.where(joint == 0, 0.0, joint * ratio).sum((1, 2)) / len(given))
    return in_range(torch.cat(scores), log(min(samples, classes)), "epig")


@options("strategy")
@dataclass(frozen=True)
class Epig(ByScore):
    """The candidates with the highest expected information about the predictions for random images."""

    targets: Annotated[
        Count, Means("images, drawn again in every round, about whose predictions a label gives information")
    ] = 200
    needs: ClassVar[Needs] = Needs(consistent=True)
    draws: ClassVar[bool] = True
    at_least_0: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id  # so that ties don't depend on the order
        return ids[top(self.scores(fitted, pool, ids, rng), n)]

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        targets = shuffled(torch.cat([pool.labelled, pool.unlabelled]), rng)[: self.targets]
        log_probs = fitted.log_probs(pool.x(torch.cat([ids, targets])))
        return epig(log_probs[: len(ids)], log_probs[len(ids) :])
