"""A net that labels any image, in place of a person, even an image that is in no data set.

N images, Y classes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.models.inputs import net_builder
from al_runner.oracle.simulated import Simulated
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Share
from al_runner.system.chunks import chunks
from al_runner.training import Fit, Recipe, trained
from al_runner.types import TrainData


@options("oracle")
@dataclass(frozen=True)
class Classifier(Simulated):
    """Gives the data set's labels for its images. Other images get labels from a net.

    The net is trained on all training images, once a run, when it is first asked. Raises UsageError if it is wrong on
    more than the share `most_error` of the validation images: an oracle's errors would look like bad queries. These are
    the data set's own, also with budget.val_share: nobody pays for what an oracle knows.
    """

    model: Annotated[Callable[[tuple[int, int, int], int], nn.Module], Means("the net that answers")]
    recipe: Annotated[InstanceOf[Recipe], Means("how it is trained")]
    sure: Annotated[Share, Means("it answers if its likeliest class has at least this probability")] = 0.9
    most_error: Annotated[
        Share, Means("largest share of the data set's own validation images that it may get wrong")
    ] = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.data.val):
            raise UsageError(
                "oracle=classifier is trained before anything is bought, so it needs validation images of the data "
                "set's own; give it some with dataset.split.val"
            )

    @cached_property
    def answering(self) -> "TrainedOnce":
        """The net that answers."""
        return TrainedOnce(self.train)

    async def judge(self, x: Tensor) -> Tensor:
        """Uint8 [N, C, H, W] -> int64 [N], UNKNOWN if the net is less sure than `sure`."""
        confidence, labels = predicted(await self.answering.net(), x).max(1)
        return torch.where(confidence >= self.sure, labels, UNKNOWN)

    async def train(self) -> nn.Module:
        """A new net, trained and in evaluation mode. Raises UsageError if it is wrong too often."""
        data = self.data
        build = net_builder(data, self.model)
        known = data.train[data.labels[data.train] >= 0]
        train = TrainData(data.images[known], data.labels[known], *data.validation)
        (result,) = await trained([Fit(build, self.recipe, train, Streams(0, 0, "/oracle"))])
        net, (x, y) = result.net.eval(), data.validation
        error = float((predicted(net, x).argmax(1) != y).sum()) / len(y)
        if error > self.most_error:
            raise UsageError(
                f"oracle=classifier is wrong on {error:.2%} of the validation images, more than oracle.most_error="
                f"{self.most_error}; use a better oracle.model or oracle.recipe, or raise oracle.most_error"
            )
        return net


class TrainedOnce:
    """A net that is trained when it is first asked for, and then kept."""

    def __init__(self, train: Callable[[], Awaitable[nn.Module]]):
        self._train = train
        self._net: nn.Module | None = None

    async def net(self) -> nn.Module:
        if self._net is None:
            self._net = await self._train()
        return self._net


@torch.inference_mode()
def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """Class probabilities, uint8 [N, C, H, W] -> [N, Y]."""
    return torch.cat([net(part).softmax(-1) for part in chunks(x)])
