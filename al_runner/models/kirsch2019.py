"""The Bayesian CNN of Kirsch, van Amersfoort & Gal (2019) for MNIST."""

from typing import Annotated

from torch import nn

from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means


@options("model")
def cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    hidden: Annotated[Count, Means("units of the dense layer before the last")] = 128,
) -> nn.Sequential:
    """Two 5 x 5 convolutions of 32 and 64 filters, each with a 2 x 2 max-pool, and two dense layers.

    All activations are ReLU, and the convolutions have no padding. Dropout of 0.5 follows every layer but the last;
    after the convolutions it drops whole maps. Raises UsageError if the image is too small.
    """
    height, width = (((size - 4) // 2 - 4) // 2 for size in image_shape[1:])
    if min(height, width) < 1:
        raise too_small(image_shape)
    return nn.Sequential(
        nn.Conv2d(image_shape[0], 32, 5),
        nn.Dropout2d(0.5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 5),
        nn.Dropout2d(0.5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * height * width, hidden),
        nn.Dropout(0.5),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
