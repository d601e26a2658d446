"""Images as points: the features that a net has learned, for methods that choose by distance or likeness."""

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, chunks

CHUNK = 8192  # images read at once


def features_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """What the net's last dense layer sees of the images `ids`, [N, D]; ArithmeticError where one is not finite."""
    return finite(torch.cat([fitted.features(pool.x(part)) for part in ids.split(CHUNK)]), "a feature")


@torch.inference_mode()
def outputs_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """One net's outputs before the softmax for the images `ids`, [N, Y]; ArithmeticError where one is not finite."""
    net = fitted.network()
    return finite(torch.cat([net(x) for part in ids.split(CHUNK) for x in chunks(pool.x(part))]), "an output")
