"""The plain nets of Beluch et al. (2018): Keras's example CNNs for MNIST (S-CNN) and CIFAR-10 (K-CNN)."""

from collections.abc import Sequence
from typing import Annotated

from torch import nn

from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive


@options("model")
def cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    blocks: Annotated[
        Sequence[Sequence[Count]],
        Means("filters of every 3 x 3 convolution, a list for each block; a block ends with a pool"),
    ],
    padded: Annotated[bool, Means("all convolutions but the last of a block keep the size of the image")],
    hidden: Annotated[Count, Means("units of the dense layer before the last")],
    width: Annotated[Positive, Means("multiplies filters and hidden units")] = 1.0,
) -> nn.Sequential:
    """Blocks of 3 x 3 convolutions with a 2 x 2 max-pool and dropout 0.25, a dense layer, dropout 0.5, a dense layer.

    All activations are ReLU. `blocks` has a list for each block, with the filters of its convolutions. With `padded`
    all convolutions but the last of a block keep the size of the image. `width` multiplies filters and hidden units
    (the smaller nets of Beluch et al.). Raises UsageError if the image is too small.
    """
    layers: list[nn.Module] = []
    before, height_now, width_now = image_shape
    for block in blocks:
        for place, filters in enumerate(block):
            keeps = padded and place < len(block) - 1
            after = scaled(filters, width)
            layers += [nn.Conv2d(before, after, 3, padding=int(keeps)), nn.ReLU()]
            before, height_now, width_now = after, height_now - 2 * (not keeps), width_now - 2 * (not keeps)
        layers[-1:] = [nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(0.25)]  # ReLU after the pool: the same with less work
        height_now, width_now = height_now // 2, width_now // 2
    if min(height_now, width_now) < 1:
        raise too_small(image_shape)
    units = scaled(hidden, width)
    layers += [nn.Flatten(), nn.Linear(before * height_now * width_now, units), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(units, classes))


def scaled(count: int, width: float) -> int:
    """`count` filters or units times `width`, rounded, at least 1."""
    return max(1, round(count * width))
