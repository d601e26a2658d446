"""A net that stands for a person who labels any image, also one that no data set has.

N images, Y classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
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
    """The data set's own labels for its images; for others the answer of a net trained on all of its training images.

    The net is trained once a run, when it is first asked. UsageError where it errs on more than `most_error` of the
    validation images: an oracle that is wrong would be taken for a bad query.
    """

    model: Annotated[Callable[[tuple[int, int, int], int], nn.Module], Means("the net that answers")]
    recipe: Annotated[InstanceOf[Recipe], Means("how it is trained")]
    sure: Annotated[Share, Means("probability of the likeliest class below which it can't tell")] = 0.9
    most_error: Annotated[Share, Means("share of the validation images that it may get wrong")] = 0.005
    trained_nets: list[nn.Module] = field(default_factory=list, init=False, repr=False, compare=False)

    async def judge(self, x: Tensor) -> Tensor:
        """Uint8 [N, C, H, W] -> int64 [N], UNKNOWN where it can't tell."""
        if not self.trained_nets:
            self.trained_nets.append(await self.train())
        confidence, labels = predicted(self.trained_nets[0], x).max(1)
        return torch.where(confidence >= self.sure, labels, UNKNOWN)

    async def train(self) -> nn.Module:
        data = self.data
        build = net_builder(data, self.model)
        train = TrainData(data.images[data.train], data.labels[data.train], *data.validation)
        (result,) = await trained([Fit(build, self.recipe, train, Streams(0, 0, "/oracle"))])
        net, (x, y) = result.net.eval(), data.validation
        error = float((predicted(net, x).argmax(1) != y).sum()) / len(y)
        if error > self.most_error:
            raise UsageError(
                f"oracle=classifier errs on {error:.2%} of the validation images, more than oracle.most_error="
                f"{self.most_error}; use a better oracle.model or oracle.recipe, or allow more"
            )
        return net


@torch.inference_mode()
def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """Probabilities, uint8 [N, C, H, W] -> [N, Y]."""
    return torch.cat([net(part).softmax(-1) for part in chunks(x)])
