"""The plain CNNs of Ducoffe & Precioso (2017, table 2), and the initial weights of their code."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import nn

from al_runner.models.too_small import too_small
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means


@options("model")
def cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    pool: Annotated[Sequence[bool], Means("for every 3 x 3 convolution, whether a 2 x 2 max-pool follows it")],
    hidden: Annotated[Sequence[Count], Means("units of every dense layer before the last")],
    channels: Annotated[Count, Means("filters of every convolution")] = 20,
) -> nn.Sequential:
    """3 x 3 convolutions without padding, each with or without a 2 x 2 max-pool, then dense layers.

    All activations are ReLU. `pool` has an entry for every convolution, and `hidden` a width for every dense layer but
    the last. Raises UsageError if the image is too small.
    """
    layers: list[nn.Module] = []
    width, height_now, width_now = image_shape
    for pooled in pool:
        layers.append(nn.Conv2d(width, channels, 3))
        height_now, width_now = height_now - 2, width_now - 2
        if pooled:
            # ReLU after the pool gives the same output as before it, with a quarter of the work.
            layers.append(nn.MaxPool2d(2))
            height_now, width_now = height_now // 2, width_now // 2
        layers.append(nn.ReLU())
        width = channels
    if min(height_now, width_now) < 1:
        raise too_small(image_shape)
    sizes = [channels * height_now * width_now, *hidden]
    layers.append(nn.Flatten())
    for before, after in zip(sizes, hidden, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


@torch.no_grad()
def initialise(net: nn.Module) -> None:
    """Draw weights: convolutions N(0, 0.01^2), dense layers N(0, 0.1^2), biases 0 (their published code, 2016)."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.normal_(0, 0.01 if isinstance(layer, nn.Conv2d) else 0.1)
            if layer.bias is not None:
                layer.bias.zero_()
