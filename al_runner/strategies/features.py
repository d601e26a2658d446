"""Images as points: the features that a net has learned, for methods that choose by distance or likeness."""

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, at_once, chunks

CHUNK = 8192  # images read at once, fewer large ones


def features_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """What the net's last dense layer sees of the images `ids`, [N, D]; ArithmeticError where one is not finite."""
    rows = at_once(CHUNK, pool.x(ids[:1]).numel())
    return finite(torch.cat([fitted.features(pool.x(part)) for part in ids.split(rows)]), "a feature")


@torch.inference_mode()
def outputs_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """One net's outputs before the softmax for the images `ids`, [N, Y]; ArithmeticError where one is not finite."""
    net, rows = fitted.network(), at_once(CHUNK, pool.x(ids[:1]).numel())
    return finite(torch.cat([net(x) for part in ids.split(rows) for x in chunks(pool.x(part))]), "an output")
