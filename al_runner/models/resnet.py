"""Residual nets for small images (He et al., 2016, section 4.2), with the four stages of their ResNet-18."""

from typing import Annotated

from torch import Tensor, nn
from torch.nn.functional import relu

from al_runner.models.mirrored import TestFlips, mirrored
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, Means, Share

# The options that these nets share with those of preact_resnet.py.
Blocks = Annotated[AtLeastOne[Count], Means("residual blocks of every stage")]
Width = Annotated[Count, Means("filters of the first stage; each further stage has twice as many")]
LastDropout = Annotated[Share, Means("chance that an input of the last layer is left out in training; 0: no layer")]


class Residual(nn.Module):
    """Two 3 x 3 convolutions; the input, after a 1 x 1 convolution if the shape changes, is added to the result."""

    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(*conv(before, width, 3, stride), nn.ReLU(), *conv(width, width, 3, 1))
        same = before == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(Thinned(stride), *conv(before, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.body(x) + self.shortcut(x))


class GlobalAverage(nn.Module):
    """The mean of every channel, [N, C, H, W] -> [N, C]; nn.AdaptiveAvgPool2d is slow in a stack of nets."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


class Thinned(nn.Module):
    """Every `stride`th pixel of both axes, [N, C, H, W] -> [N, C, H / stride, W / stride], rounded up.

    Before a 1 x 1 convolution it does what a stride of the convolution would do. The gradient of such a stride crashes
    torch 2.13 on a CPU for large images and few channels.
    """

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride, :: self.stride]


def unbiased(before: int, width: int, kernel: int, stride: int) -> nn.Conv2d:
    """A convolution without bias for nets with BatchNorm; only its stride changes the size of the image.

    BatchNorm removes any bias. So the gradient of a bias is rounding noise, which Adam would turn into steps.
    """
    layer = nn.Conv2d(before, width, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def conv(before: int, width: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """An `unbiased` convolution and its BatchNorm."""
    return unbiased(before, width, kernel, stride), nn.BatchNorm2d(width)


@options("model")
def resnet(
    image_shape: tuple[int, int, int],
    classes: int,
    blocks: Blocks = (2, 2, 2, 2),
    width: Width = 64,
    test_flips: TestFlips = False,
    dropout: LastDropout = 0.0,
) -> nn.Module:
    """A 3 x 3 convolution, a stage for every entry of `blocks`, and a dense layer.

    Every stage has twice the filters of the one before, and half its height and width.
    """
    layers: list[nn.Module] = [*conv(image_shape[0], width, 3, 1), nn.ReLU()]
    before = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            layers.append(Residual(before, width << stage, 2 if stage > 0 and block == 0 else 1))
            before = width << stage
    return mirrored(nn.Sequential(*layers, GlobalAverage(), *last(before, classes, dropout)), test_flips)


def last(width: int, classes: int, dropout: float) -> list[nn.Module]:
    """The dense layer, behind dropout where it is asked for."""
    return [*([nn.Dropout(dropout)] if dropout else []), nn.Linear(width, classes)]
