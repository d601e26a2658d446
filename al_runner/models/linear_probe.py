"""One dense layer, on features that stay as they are."""

from math import prod
from typing import Annotated

from torch import nn

from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Share


@options("model")
def linear_probe(
    image_shape: tuple[int, int, int],
    classes: int,
    dropout: Annotated[Share, Means("chance that a feature is left out in training")] = 0.75,
) -> nn.Sequential:
    """BatchNorm without parameters, dropout and one dense layer, [N, C, H, W] -> logits [N, classes].

    The features are all C H W numbers of an input (Gupte et al., 2024, section 4).
    """
    features = prod(image_shape)
    return nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(features, affine=False), nn.Dropout(dropout), nn.Linear(features, classes)
    )
