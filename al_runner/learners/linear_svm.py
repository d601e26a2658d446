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


class UnitPixels(nn.Module):
    """Uint8 [N, C, H, W] -> [N, D], values in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) / 255


@options("learner")
@dataclass(frozen=True)
class LinearSvm:
    """A hyperplane between each class and the others: least |w|^2 / 2 plus `penalty` times the squared hinge losses.

    Its decision values stand for logits: their order is the machine's, probabilities made of them are not calibrated.
    Of two classes, logit 1 less logit 0 is the machine's w'x + b.
    """

    build: NetBuilder  # tells the number of classes; no net is built
    penalty: Annotated[Positive, Means("weight of the hinge losses beside the squared norm of w, halved (C)")] = 1.0
    continues: ClassVar[bool] = False
    gives: ClassVar[Gives] = Gives()

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
        x, y = data.x.flatten(1).cpu().numpy() / 255, data.y.cpu().numpy()
        weight, bias = planes(x, y, self.build.classes, self.penalty)
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        return SingleNet(nn.Sequential(UnitPixels(), layer).eval().to(data.x.device), steps=0)


def planes(
    x: NDArray[np.float64], y: NDArray[np.int64], classes: int, penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [Y, D] and biases [Y] of the classes' decision values; -1 everywhere for a class without an example."""
    from sklearn.svm import LinearSVC  # noqa: PLC0415 - a second that no other learner need spend

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
