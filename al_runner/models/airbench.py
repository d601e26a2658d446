"""The net of airbench's CIFAR-10 recipe (Jordan, 2024), but its first layer is not whitened."""

from typing import Annotated

import torch
from torch import Tensor, nn

from al_runner.models.mirrored import TestFlips, mirrored
from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, Means


class GlobalMaximum(nn.Module):
    """The maximum of every channel, [N, C, H, W] -> [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((-2, -1))


class Scaled(nn.Module):
    """The input times a constant, of any shape."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def extra_repr(self) -> str:
        return f"factor={self.factor}"

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def identity_conv(before: int, width: int) -> nn.Conv2d:
    """A 3 x 3 convolution whose first filters return the input unchanged before training."""
    layer = nn.Conv2d(before, width, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[: min(before, width)])
    return layer


def norm(width: int) -> nn.BatchNorm2d:
    """BatchNorm with a trained shift but no trained scale; its statistics follow the last minibatches closely."""
    layer = nn.BatchNorm2d(width, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


def group(before: int, width: int) -> list[nn.Module]:
    """Two convolutions with BatchNorm and GELU, and a 2 x 2 max-pool after the first convolution."""
    first = [identity_conv(before, width), nn.MaxPool2d(2), norm(width), nn.GELU()]
    return [*first, identity_conv(width, width), norm(width), nn.GELU()]


@options("model")
def airbench(
    image_shape: tuple[int, int, int],
    classes: int,
    widths: Annotated[AtLeastOne[Count], Means("filters of every group of convolutions")] = (64, 256, 256),
    test_flips: TestFlips = True,
) -> nn.Module:
    """A 2 x 2 convolution, a group of convolutions for every width, a global maximum divided by 9, and a dense layer.

    The recipe divides the outputs of the dense layer, which is the same. Here its inputs are divided, so that it gives
    the logits. The first convolution has 8 filters for each colour channel. Raises UsageError if the image is too small
    for the pools, with three groups below 9 pixels a side.
    """
    channels, *sides = image_shape
    if (min(sides) - 1) >> len(widths) < 1:
        raise too_small(image_shape)
    stem = 2 * channels * 4
    layers: list[nn.Module] = [nn.Conv2d(channels, stem, 2), nn.GELU()]
    for before, width in zip((stem, *widths), widths, strict=False):
        layers += group(before, width)
    layers += [GlobalMaximum(), Scaled(1 / 9), nn.Linear(widths[-1], classes, bias=False)]
    return mirrored(nn.Sequential(*layers), test_flips)
