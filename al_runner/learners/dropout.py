"""A net's dropout masks as its posterior (Gal & Ghahramani, 2016).

N images, T posterior samples, Y classes.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.plain import RECIPE, SingleNet
from al_runner.models.layers import SeededDropout
from al_runner.models.masked_dropout import dropout_layers, split
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means
from al_runner.system.chunks import chunks
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, TrainData

DROPOUT = (SeededDropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True)
class DropoutNet:
    """A trained net and `samples` draws of its dropout masks; every call uses the same draws.

    A mask depends on the image's position in the call. A shared mask depends only on the sample, so that a sample is
    one function for all images.
    """

    net: nn.Module
    steps: int
    prefix: nn.Module  # the layers before the first dropout layer
    rest: nn.Module  # the other layers; they share the net's parameters, and only their dropout is in training mode
    first: tuple[int, ...]  # for every dropout layer, the value of its stream for the first mask
    samples: int

    @classmethod
    def of(cls, net: nn.Module, steps: int, samples: int, shared_masks: bool, rng: torch.Generator) -> "DropoutNet":
        """The posterior of the net, with masks drawn from `rng`."""
        net.eval()
        own = {id(tensor): tensor for tensor in chain(net.parameters(), net.buffers())}
        prefix, rest = split(deepcopy(net, own))
        for layer in dropout_layers(rest):
            layer.stream = layer.stream.clone()
            layer.shared = shared_masks
            layer.train()
        first = torch.randint(2**62, (len(dropout_layers(rest)),), generator=rng)
        return cls(net, steps, prefix, rest, tuple(first.tolist()), samples)

    @torch.inference_mode()
    def log_probs(self, x: Tensor) -> Tensor:
        """Log probabilities in nats, uint8 [N, C, H, W] -> [N, T, Y]; memory is that of one pass and the result."""
        return torch.cat([self._sampled(part, place) for place, part in enumerate(chunks(x))])

    def _sampled(self, x: Tensor, place: int) -> Tensor:
        layers = dropout_layers(self.rest)
        features = self.prefix(x)
        samples = []
        for t in range(self.samples):
            for layer, first in zip(layers, self.first, strict=True):
                layer.stream.fill_(first + t + (0 if layer.shared else place * self.samples))
            samples.append(self.rest(features).log_softmax(-1))
        return torch.stack(samples, 1)

    def features(self, x: Tensor) -> Tensor:
        """The features of the net without dropout, [N, D]."""
        return SingleNet(self.net, self.steps).features(x)

    def network(self) -> nn.Module:
        return self.net


def has_dropout(build: Callable[[], nn.Module]) -> bool:
    """Whether the nets that `build` makes have a dropout layer that leaves something out."""
    with torch.random.fork_rng(devices=[]):
        net = build()
    return any(isinstance(layer, DROPOUT) and layer.p > 0 for layer in net.modules())


@options("learner")
@dataclass(frozen=True)
class Dropout:
    """One net, with `samples` draws of its dropout masks as posterior samples; their mean is the prediction.

    With `shared_masks` all images have the same masks in a sample; otherwise every image has its own masks.
    Raises UsageError if the net has no dropout layer.
    """

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    samples: Annotated[Few, Means("draws of the dropout masks")] = 100
    shared_masks: Annotated[
        bool,
        Means("all images have the same masks in a sample; false: every image has its own, by its place in the call"),
    ] = False
    continues: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not has_dropout(self.build):
            raise UsageError(
                "learner=dropout needs a net with dropout layers; use model=gal2017_cnn or learner=ensemble"
            )

    @property
    def gives(self) -> Gives:
        return Gives(samples=self.samples, consistent=self.shared_masks)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> DropoutNet:
        (result,) = await trained([Fit(self.build, self.recipe, data, streams)])
        rng = streams("posterior masks")
        return DropoutNet.of(result.net, result.steps, self.samples, self.shared_masks, rng)
