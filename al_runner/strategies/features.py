"""Images as points: the features that a net has learned, for methods that choose by distance or likeness."""

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.types import Fitted, at_once

CHUNK = 8192  # images read at once, fewer large ones


def features_of(fitted: Fitted, pool: Pool, ids: Tensor) -> Tensor:
    """What the net's last dense layer sees of the images `ids`, [N, D]; ArithmeticError where one is not finite."""
    rows = at_once(CHUNK, pool.x(ids[:1]).numel())
    features = torch.cat([fitted.features(pool.x(part)) for part in ids.split(rows)])
    if not bool(features.isfinite().all()):
        raise ArithmeticError("a feature is not finite: the net's activations are NaN or infinite")
    return features
