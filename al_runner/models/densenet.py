"""DenseNet-BC for small images (Huang et al., 2017): a layer reads the maps of all earlier layers of its block."""

from typing import Annotated

import torch
from torch import Tensor, nn

from al_runner.models.mirrored import TestFlips, mirrored
from al_runner.models.resnet import GlobalAverage, unbiased
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, Means


class Dense(nn.Module):
    """Adds `growth` maps to its input, with a 1 x 1 convolution to 4 `growth` maps and a 3 x 3 convolution."""

    def __init__(self, before: int, growth: int):
        super().__init__()
        self.body = nn.Sequential(*activated(before, 4 * growth, 1), *activated(4 * growth, growth, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def activated(before: int, width: int, kernel: int) -> tuple[nn.Module, ...]:
    """BatchNorm, ReLU, and a convolution that keeps the size of the image."""
    return nn.BatchNorm2d(before), nn.ReLU(), unbiased(before, width, kernel, 1)


@options("model")
def densenet(
    image_shape: tuple[int, int, int],
    classes: int,
    layers: Annotated[AtLeastOne[Count], Means("layers of every dense block")] = (16, 16, 16),
    growth: Annotated[Count, Means("filters that a layer adds")] = 12,
    test_flips: TestFlips = False,
) -> nn.Module:
    """A 3 x 3 convolution to 2 `growth` maps, then a block for every entry of `layers`; depth 4 + 2 sum(layers).

    Between two blocks a 1 x 1 convolution halves the number of maps, and an average pool halves height and width.
    """
    maps = 2 * growth
    net: list[nn.Module] = [unbiased(image_shape[0], maps, 3, 1)]
    for block, count in enumerate(layers):
        if block > 0:
            net += [*activated(maps, maps // 2, 1), nn.AvgPool2d(2)]
            maps //= 2
        net += [Dense(maps + place * growth, growth) for place in range(count)]
        maps += count * growth
    net += [nn.BatchNorm2d(maps), nn.ReLU(), GlobalAverage(), nn.Linear(maps, classes)]
    return mirrored(nn.Sequential(*net), test_flips)
