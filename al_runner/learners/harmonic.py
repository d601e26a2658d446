"""The harmonic function as a classifier: a graph of labelled and unlabelled images, and no net (Zhu et al., 2003).

N images, M nodes, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from al_runner.errors import UsageError
from al_runner.models.gaussian_field import LEAST, class_masses, harmonic, log_weights
from al_runner.models.inputs import NetBuilder
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive
from al_runner.system.chunks import chunks
from al_runner.types import Fitted, TrainData


@dataclass(frozen=True)
class HarmonicFunction:
    """Values at the nodes of a graph. Another image gets the mean of all nodes' values, weighted by its edges to them.

    So the image is a new node that does not change the others (Delalleau, Bengio & Le Roux, 2005). The prediction is
    the value times `masses`, normalised.
    """

    nodes: Tensor  # uint8 [M, C, H, W]
    f: Tensor  # float64 [M, Y]
    masses: Tensor  # float64 [Y]
    scale: float
    steps: ClassVar[int] = 0

    def log_probs(self, x: Tensor) -> Tensor:
        """Log probabilities in nats, uint8 [N, C, H, W] -> [N, 1, Y]."""
        f = [log_weights(part, self.nodes, self.scale).softmax(1) @ self.f for part in chunks(x)]
        masses = torch.cat(f) * self.masses
        return (masses / masses.sum(1, keepdim=True)).clamp_min(LEAST).log()[:, None]  # 0 would make a loss infinite

    def features(self, x: Tensor) -> Tensor:
        raise UsageError("learner=harmonic has no net, so it has no features; use another learner")

    def network(self) -> nn.Module:
        raise UsageError(
            "learner=harmonic has no net; use another learner, or a strategy that does not need a net's gradients"
        )


@options("learner")
@dataclass(frozen=True)
class Harmonic:
    """The harmonic function on the labelled set and `nodes` random unlabelled images, drawn again in every round.

    If `nodes` is None, it uses all unlabelled images. With `normalise_mass`, predictions are multiplied by
    `class_masses`. Time O(M^3), memory O(M^2).
    """

    build: NetBuilder  # only its number of classes is used; no net is built
    length_scale: Annotated[
        Positive, Means("root-mean-square difference of pixels, in [0, 1], at which an edge's weight is 1/e")
    ]
    nodes: Annotated[Count | None, Means("unlabelled images in the graph, drawn again every round; null: all")] = 4000
    normalise_mass: Annotated[
        bool, Means("give predictions the class shares of the labels; false: keep the function's own values")
    ] = True
    continues: ClassVar[bool] = False
    gives: ClassVar[Gives] = Gives(network=False, features=False, extendable=False)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> HarmonicFunction:
        unlabelled, classes = self._unlabelled(data, streams), self.build.classes
        labels = one_hot(data.y, classes).double()
        f = harmonic(data.x, labels, unlabelled, self.length_scale)
        masses = torch.ones_like(labels[0])
        if self.normalise_mass and len(f):
            masses = class_masses(labels, f)
        nodes = torch.cat([data.x, unlabelled])
        return HarmonicFunction(nodes, torch.cat([labels, f]), masses, self.length_scale)

    def _unlabelled(self, data: TrainData, streams: Streams) -> Tensor:
        if data.unlabelled is None:
            return data.x[:0]
        drawn = torch.randperm(len(data.unlabelled), generator=streams("nodes"))[: self.nodes]
        return data.unlabelled[drawn.to(data.x.device)]
