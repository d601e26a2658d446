"""One net that is trained from scratch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.models.dense import inputs_of, last_dense
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.system.chunks import chunks
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, TrainData

RECIPE = "how the nets are trained; ${training} is the choice of training="


@dataclass(frozen=True)
class SingleNet:
    """A trained net as a posterior of one sample."""

    net: nn.Module
    steps: int

    @torch.inference_mode()
    def log_probs(self, x: Tensor) -> Tensor:
        """Log probabilities in nats, uint8 [N, C, H, W] -> [N, 1, Y]."""
        logits = torch.cat([self.net(part) for part in chunks(x)])
        return logits.log_softmax(-1)[:, None]

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        return torch.cat([last_inputs(self.net, part) for part in chunks(x)])

    def network(self) -> nn.Module:
        return self.net


def last_inputs(net: nn.Module, x: Tensor) -> Tensor:
    """The inputs of the net's last dense layer, [N, D]; raises UsageError if the net has no dense layer.

    With test-time flips they belong to the image itself, not to its mirror image.
    """
    layer = last_dense(net)
    if layer is None:
        raise UsageError("features are the inputs of a net's last dense layer; choose a model that has one")
    return inputs_of(layer, net, x)


@options("learner")
@dataclass(frozen=True)
class Plain:
    """One net, trained from scratch in every round with one recipe."""

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    continues: ClassVar[bool] = False
    gives: ClassVar[Gives] = Gives()

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
        (result,) = await trained([Fit(self.build, self.recipe, data, streams)])
        return SingleNet(result.net.eval(), result.steps)
