"""ALFA-Mix: candidates whose predicted class changes when labelled features are mixed in (Parvaneh et al., 2022).

N candidates, A anchors, D features, Y classes.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import spread_or_filled
from al_runner.strategies.features import CHUNK, features_of, head_of, require_head
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted


def anchors(features: Tensor, y: Tensor) -> Tensor:
    """The mean features of every class that has a label, [L, D] and [L] -> [A, D], in the order of the classes."""
    return torch.stack([features[y == label].mean(0) for label in y.unique()])


def gradients(features: Tensor, head: nn.Linear) -> Tensor:
    """Of the cross-entropy of the predicted class with respect to the features, [N, D] -> [N, D]."""
    p = finite(head(features), "an output").softmax(1)
    errors: Tensor = p - one_hot(p.argmax(1), p.shape[1])
    return errors @ head.weight


def mixed(features: Tensor, anchor: Tensor, gradient: Tensor, strength: float) -> Tensor:
    """alpha anchor + (1 - alpha) features with the alpha that raises the loss most, [N, D], [D], [N, D] -> [N, D].

    alpha is a vector: strength / sqrt(D) |anchor - z| / |g| g / (anchor - z), element by element (equation 5). In the
    mixture the last factor cancels, so that equal features are no division by 0: the step is along g, as long as
    strength / sqrt(D) times the distance to the anchor. With a gradient of 0 nothing is mixed in.
    """
    distances = torch.linalg.vector_norm(anchor - features, dim=1, keepdim=True)
    step: Tensor = strength / sqrt(features.shape[1]) * distances * normalize(gradient)
    return features + step


def changed(features: Tensor, centres: Tensor, head: nn.Linear, strength: float) -> Tensor:
    """Whether a mixture with at least one anchor has another predicted class, [N, D] and [A, D] -> bool [N]."""
    predicted, gradient = head(features).argmax(1), gradients(features, head)
    others = torch.zeros_like(predicted, dtype=torch.bool)
    for centre in centres:
        others |= head(mixed(features, centre, gradient, strength)).argmax(1) != predicted
    return others


@options("strategy")
@dataclass(frozen=True)
class AlfaMix(Strategy):
    """Of the candidates whose predicted class a mixture changes, one of every cluster of the net's features.

    The anchors are the mean features of the labelled images of each class. Clusters are those of features of length 1,
    as many as the query. If there are fewer candidates than that, the rest is drawn at random.

    This is the closed form. The authors' example command learns alpha by gradient steps instead. Their code also
    differs in two details: a class without labels has the mean of all labelled images as its anchor, and `strength`
    grows in steps of its first value up to 1, until there are more candidates than the query buys.
    """

    strength: Annotated[
        Positive, Means("length of the change, as a share of the distance to an anchor, times sqrt(D)")
    ] = 0.2
    needs: ClassVar[Needs] = Needs(features=True, network=True)
    draws: ClassVar[bool] = True

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        require_head(self.name, net, x)

    @torch.inference_mode()
    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        head = head_of(fitted.network())
        centres = anchors(features_of(fitted, pool, pool.labelled), pool.y(pool.labelled))
        features = features_of(fitted, pool, ids)
        some = torch.cat([changed(part, centres, head, self.strength) for part in features.split(CHUNK)])
        return spread_or_filled(ids, some, normalize(features[some]), n, rng)
