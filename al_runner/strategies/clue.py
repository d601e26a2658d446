"""CLUE: clusters in which uncertain images count more (Prabhu, Chandrasekaran, Saenko & Hoffman, 2021).

N candidates, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import spread
from al_runner.strategies.features import features_of, mean_log_probs_of
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted

LEAST = 1e-8  # of a probability in the weights, as in the published code; so every image has a weight above 0


def weights(log_probs: Tensor, temperature: float) -> Tensor:
    """The entropy of every prediction at a temperature, in nats, [N, Y] -> [N], above 0."""
    probs = (log_probs / temperature).softmax(1) + LEAST
    return -(probs * probs.log()).sum(1).clamp_max(-LEAST)


@options("strategy")
@dataclass(frozen=True)
class Clue(Strategy):
    """Makes as many clusters as the query has images, and buys the candidate nearest to each centre.

    k-means on the inputs of the last dense layer weighs every image by the entropy of its prediction. The paper adapts
    a net to a new domain; only its choice of images is here.
    """

    temperature: Annotated[
        Positive, Means("of the predictions in the weights; below 1, the most uncertain images count more")
    ] = 1.0
    needs: ClassVar[Needs] = Needs(features=True)
    draws: ClassVar[bool] = True  # the start of k-means

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        unsure = finite(weights(mean_log_probs_of(fitted, pool, ids).double(), self.temperature), "an entropy")
        return ids[spread(features_of(fitted, pool, ids), n, rng, unsure)]
