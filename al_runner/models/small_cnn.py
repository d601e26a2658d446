"""A small CNN for images of any size."""

from math import ceil
from typing import Annotated

import torch
from torch import Tensor, nn

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
    pools = 2 if min(image_shape[1:]) >= 16 else 1
    height, width = (ceil(side / 2**pools) for side in image_shape[1:])
    return nn.Sequential(
        nn.Conv2d(image_shape[0], channels, 3, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.MaxPool2d(2, ceil_mode=True) if pools == 2 else nn.Identity(),
        nn.ReLU(),
        WindowMeans(height, width, 4),
        nn.Flatten(),
        nn.Linear(32 * channels, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )


class WindowMeans(nn.Module):
    """Means over `count` x `count` windows that cover the image, [N, C, H, W] -> [N, C, count, count].

    The windows are those of nn.AdaptiveAvgPool2d, whose gradient has no deterministic form on a GPU.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, height: int, width: int, count: int):
        super().__init__()
        self.register_buffer("rows", windows(height, count), persistent=False)
        self.register_buffer("columns", windows(width, count).T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        means: Tensor = self.rows @ x @ self.columns
        return means


def windows(size: int, count: int) -> Tensor:
    """The matrix that takes means over `count` windows of a line of `size` numbers, [count, size]."""
    weights = torch.zeros(count, size)
    for row in range(count):
        start, end = row * size // count, ceil((row + 1) * size / count)
        weights[row, start:end] = 1 / (end - start)
    return weights
