"""The Bayesian CNN of Gal, Islam & Ghahramani (2017, section 5.1)."""

from typing import Annotated

from torch import nn

from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means


@options("model")
def cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    channels: Annotated[Count, Means("filters of each convolution")] = 32,
    hidden: Annotated[Count, Means("units of the dense layer before the last")] = 128,
) -> nn.Sequential:
    """Two 4 x 4 convolutions, a 2 x 2 max-pool, dropout 0.25, a dense layer, dropout 0.5, a dense layer.

    All activations are ReLU, and the convolutions have no padding. Raises UsageError if the image is too small.
    """
    height, width = ((size - 6) // 2 for size in image_shape[1:])
    if min(height, width) < 1:
        raise too_small(image_shape)
    return nn.Sequential(
        nn.Conv2d(image_shape[0], channels, 4),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 4),
        nn.MaxPool2d(2),
        nn.ReLU(),  # gives the same after the pool as before it, with a quarter of the work
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(channels * height * width, hidden),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(hidden, classes),
    )
