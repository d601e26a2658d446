"""The MNIST net of Gissin & Shalev-Shwartz (2019)."""

from typing import Annotated

from torch import nn

from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means


@options("model")
def cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    channels: Annotated[Count, Means("filters of the first convolution; the second has twice as many")] = 32,
    hidden: Annotated[Count, Means("units of the dense layer before the last")] = 128,
) -> nn.Sequential:
    """Two 3 x 3 convolutions with 2 x 2 max-pools, the second twice as wide; two dense layers with dropout between.

    The convolutions have no padding. Raises UsageError if the image is too small.
    """
    height, width = (((size - 2) // 2 - 2) // 2 for size in image_shape[1:])
    if min(height, width) < 1:
        raise too_small(image_shape)
    return nn.Sequential(
        nn.Conv2d(image_shape[0], channels, 3),
        nn.MaxPool2d(2),
        nn.ReLU(),  # gives the same after the pool as before it, with a quarter of the work
        nn.Conv2d(channels, 2 * channels, 3),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * height * width, hidden),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(hidden, classes),
    )
