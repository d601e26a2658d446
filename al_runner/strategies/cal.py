"""CAL: images whose predictions differ from those of the labelled images beside them (Margatina et al., 2021).

N candidates, L labelled images, D features, Y classes, K neighbours.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means
from al_runner.strategies.base import ByScore
from al_runner.strategies.core_set import BLOCK, squared_distances
from al_runner.strategies.features import features_of, mean_log_probs_of
from al_runner.types import Fitted

LEAST = -80.0  # of the log of a probability, so that every divergence is finite


def contrast(x: Tensor, log_probs: Tensor, labelled_x: Tensor, labelled_log_probs: Tensor, neighbours: int) -> Tensor:
    """The mean divergence KL(p_neighbour || p_x) in nats of the nearest labelled points, [N].

    Points are [N, D] and [L, D], their predictions [N, Y] and [L, Y] in nats. If there are fewer labelled points than
    `neighbours`, all are neighbours.
    """
    logs, theirs = log_probs.clamp_min(LEAST), labelled_log_probs.clamp_min(LEAST)
    constant = (theirs.exp() * theirs).sum(1)  # minus the entropy of a neighbour's prediction
    k, scores = min(neighbours, len(labelled_x)), []
    for rows, own in zip(x.split(BLOCK), logs.split(BLOCK), strict=True):
        near = squared_distances(rows, labelled_x).topk(k, largest=False).indices  # [n, K]
        cross = (theirs[near].exp() * own[:, None]).sum(2)
        scores.append((constant[near] - cross).mean(1))
    return torch.cat(scores)


@options("strategy")
@dataclass(frozen=True)
class Cal(ByScore):
    """The candidates that lie near labelled images, but get other predictions: contrastive examples.

    Nearness is that of the inputs of the last dense layer, scaled to length 1, as in the published code.
    """

    neighbours: Annotated[Few, Means("how many of the nearest labelled images a candidate is compared with")] = 10
    needs: ClassVar[Needs] = Needs(features=True)
    at_least_0: ClassVar[bool] = True

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        def points(of: Tensor) -> tuple[Tensor, Tensor]:
            return normalize(features_of(fitted, pool, of).double()), mean_log_probs_of(fitted, pool, of).double()

        return contrast(*points(ids), *points(pool.labelled), self.neighbours)
