"""The small CIFAR-10 net of Krizhevsky's cuda-convnet, as Caffe has it (Jia et al., 2014)."""

from typing import Annotated

import torch
from torch import nn

from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means


@options("model")
def cifar10_quick(
    image_shape: tuple[int, int, int],
    classes: int,
    hidden: Annotated[Count, Means("units of the dense layer before the last")] = 64,
) -> nn.Sequential:
    """Three padded 5 x 5 convolutions of 32, 32 and 64 filters, each with a 3 x 3 pool of stride 2; two dense layers.

    As in Caffe, the first pool takes maxima and the others means, and there is no ReLU between the dense layers.
    Initial weights are torch's. Caffe's have standard deviations down to 1e-4.
    """
    convolutions = nn.Sequential(
        nn.Conv2d(image_shape[0], 32, 5, padding=2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.ReLU(),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Flatten(),
    )
    with torch.no_grad():
        width = convolutions(torch.zeros(1, *image_shape)).shape[1]
    return nn.Sequential(*convolutions, nn.Linear(width, hidden), nn.Linear(hidden, classes))
