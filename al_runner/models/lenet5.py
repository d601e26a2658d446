"""LeNet-5 (LeCun et al., 1998) as in Ducoffe & Precioso (2018)."""

from typing import Annotated

import torch
from torch import nn

from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Share


@options("model")
def lenet5(
    image_shape: tuple[int, int, int],
    classes: int,
    dropout: Annotated[Share, Means("chance that a unit of the dense layer is dropped in training")] = 0.5,
) -> nn.Sequential:
    """5 x 5 convolutions of 6 and 16 filters with 2 x 2 max-pools, a 1 x 1 convolution of 120, a dense layer of 84.

    All activations are ReLU, and the convolutions have no padding. Dropout follows the dense layer of 84. Raises
    UsageError if a side of the image is below 16 pixels.
    """
    if min(image_shape[1:]) < 16:
        raise too_small(image_shape)
    convolutions = nn.Sequential(
        nn.Conv2d(image_shape[0], 6, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(16, 120, 1),
        nn.ReLU(),
        nn.Flatten(),
    )
    with torch.no_grad():
        width = convolutions(torch.zeros(1, *image_shape)).shape[1]
    dense = nn.Linear(width, 84), nn.ReLU(), nn.Dropout(dropout), nn.Linear(84, classes)
    return nn.Sequential(*convolutions, *dense)
