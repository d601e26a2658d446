"""A net of dense layers."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Annotated

from torch import nn

from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Share


@options("model")
def mlp(
    image_shape: tuple[int, int, int],
    classes: int,
    hidden: Annotated[Sequence[Count], Means("units of each hidden layer, from the first to the last")] = (128,),
    dropout: Annotated[Share, Means("chance that a hidden unit is left out in training")] = 0.5,
) -> nn.Sequential:
    """Hidden dense layers, each with ReLU and dropout, then a last dense layer, [N, C, H, W] -> logits [N, classes]."""
    widths = (prod(image_shape), *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, width in pairwise(widths):
        layers += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))
