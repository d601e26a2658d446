"""A linear support vector machine on pixels (Cortes & Vapnik, 1995), the classifier of Zhu & Bento (2017).

N images, D pixels, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from al_runner.learners.plain import SingleNet
from al_runner.models.inputs import NetBuilder
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive
from al_runner.types import Fitted, TrainData


class Scaled(nn.Module):
    """Images [N, C, H, W] -> float32 [N, D], divided by `largest`."""

    def __init__(self, largest: float):
        super().__init__()
        self.largest = largest

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).float() / self.largest


@options("learner")
@dataclass(frozen=True)
class LinearSvm:
    """A hyperplane between each class and the others, which minimises |w|^2 / 2 + `penalty` * squared hinge losses.

    x are pixels in [0, 1], or floats as they are. The decision values w'x + b stand for logits. They rank the classes,
    but their softmax is not calibrated. With two classes, logit 1 less logit 0 is the machine's decision value.
    """

    build: NetBuilder  # only its number of classes is used; no net is built
    penalty: Annotated[Positive, Means("weight C of the squared hinge losses, besides half the squared norm of w")] = (
        1.0
    )
    continues: ClassVar[bool] = False
    gives: ClassVar[Gives] = Gives(extendable=False)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
        largest = np.float64(255 if data.x.dtype == torch.uint8 else 1)
        x, y = data.x.flatten(1).cpu().numpy() / largest, data.y.cpu().numpy()
        weight, bias = planes(x, y, self.build.classes, self.penalty)
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        return SingleNet(nn.Sequential(Scaled(float(largest)), layer).eval().to(data.x.device), steps=0)


def planes(
    x: NDArray[np.float64], y: NDArray[np.int64], classes: int, penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [Y, D] and biases [Y] of the decision values, from pixels [N, D] and labels [N].

    The decision value of a class without an example is always -1.
    """
    from sklearn.svm import LinearSVC  # noqa: PLC0415 - takes a second, and only this learner needs it

    weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, -1.0)
    seen = np.unique(y)
    if len(seen) == 1:
        bias[seen] = 1.0
        return weight, bias
    machine = LinearSVC(C=penalty, loss="squared_hinge", dual=False, random_state=0).fit(x, y)
    if len(seen) == 2:
        halves = machine.coef_[0] / 2, machine.intercept_[0] / 2
        weight[seen], bias[seen] = np.stack([-halves[0], halves[0]]), np.array([-halves[1], halves[1]])
    else:
        weight[seen], bias[seen] = machine.coef_, machine.intercept_
    return weight, bias
