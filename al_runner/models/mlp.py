"""Dense layers."""

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
    hidden: Annotated[Sequence[Count], Means("units of the layers before the last")] = (128,),
    dropout: Annotated[Share, Means("chance that a unit of these layers is left out in training")] = 0.5,
) -> nn.Sequential:
    """Dense layers with ReLU, dropout after each, and a last one without."""
    widths = (prod(image_shape), *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, width in pairwise(widths):
        layers += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))
