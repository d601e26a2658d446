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
    batch_norm: Annotated[bool, Means("scale features by the labelled images' own mean and variance, too")] = False,
) -> nn.Sequential:
    """Dropout and one dense layer, [N, C, H, W] -> logits [N, classes]; the features are all C H W numbers of an input.

    With `batch_norm`, BatchNorm without parameters comes first (Gupte et al., 2024, section 4). Its mean and variance
    are those of the labelled images alone. Few images estimate them badly: a feature that happens to be almost the same
    in ten images becomes huge in the others.
    """
    features = prod(image_shape)
    norm = [nn.BatchNorm1d(features, affine=False)] if batch_norm else []
    return nn.Sequential(nn.Flatten(), *norm, nn.Dropout(dropout), nn.Linear(features, classes))
