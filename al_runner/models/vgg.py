"""VGG nets with BatchNorm for small images (Simonyan & Zisserman, 2015, configuration D, in its common CIFAR form)."""

from typing import Annotated

from torch import nn

from al_runner.models.mirrored import TestFlips, mirrored
from al_runner.models.resnet import GlobalAverage, conv
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, Means, Positive

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@options("model")
def vgg(
    image_shape: tuple[int, int, int],
    classes: int,
    blocks: Annotated[
        AtLeastOne[AtLeastOne[Count]], Means("filters of the convolutions of every block; a max-pool ends a block")
    ] = BLOCKS,
    width: Annotated[Positive, Means("multiplies the filters and the units of the hidden dense layer")] = 1.0,
    dropout: Annotated[bool, Means("dropout between the convolutions and before the dense layers")] = False,
    hidden: Annotated[Count | None, Means("units of a dense layer before the last; null: no such layer")] = None,
    test_flips: TestFlips = False,
) -> nn.Module:
    """Blocks of 3 x 3 convolutions; a 2 x 2 max-pool follows a block while the image has at least 2 pixels a side.

    Then come the mean over positions (only one for 32 x 32 images) and, with `hidden`, a dense layer of that many
    units. `width` multiplies the filters and units. With `dropout`, dropout follows every convolution but the last of a
    block (0.3 in the first block, 0.4 in the others) and surrounds the dense layer (0.5) (Liu & Deng, 2015).
    """
    layers: list[nn.Module] = []
    before, size = image_shape[0], min(image_shape[1:])
    for block, filters in enumerate(blocks):
        for place, count in enumerate(filters):
            after = max(1, round(count * width))
            layers += [*conv(before, after, 3, 1), nn.ReLU()]
            if dropout and place < len(filters) - 1:
                layers.append(nn.Dropout(0.4 if block else 0.3))
            before = after
        if size >= 2:
            layers.append(nn.MaxPool2d(2))
            size //= 2
    layers.append(GlobalAverage())
    if dropout:
        layers.append(nn.Dropout(0.5))
    if hidden is not None:
        units = max(1, round(hidden * width))
        layers += [nn.Linear(before, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
        before = units
        if dropout:
            layers.append(nn.Dropout(0.5))
    return mirrored(nn.Sequential(*layers, nn.Linear(before, classes)), test_flips)
