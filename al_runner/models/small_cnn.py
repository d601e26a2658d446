"""A small CNN for images of any size."""

from typing import Annotated

from torch import nn

from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means


@options("model")
def small_cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    channels: Annotated[Count, Means("filters of the first convolution; the second has twice as many")] = 32,
    hidden: Annotated[Count, Means("units of the dense layer before the last")] = 128,
) -> nn.Sequential:
    """Two padded 3 x 3 convolutions, an average pool to 4 x 4, and two dense layers; with ReLU, without BatchNorm.

    A 2 x 2 max-pool follows the first convolution, and also the second if the image has at least 16 pixels a side.
    """
    return nn.Sequential(
        nn.Conv2d(image_shape[0], channels, 3, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.MaxPool2d(2, ceil_mode=True) if min(image_shape[1:]) >= 16 else nn.Identity(),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(32 * channels, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
