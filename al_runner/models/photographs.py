"""Photographs as the inputs of nets that were trained on photographs, and such nets without their last layer.

N images of C x H x W values, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from al_runner.errors import UsageError
from al_runner.models.dense import last_dense
from al_runner.models.inputs import Standardise
from al_runner.system.text import one_line


class Transform(NamedTuple):
    """From images of 0 .. 1 to a net's inputs."""

    size: int | None  # pixels a side; None: as they are
    mean: tuple[float, ...]  # of every channel, or one of all
    std: tuple[float, ...]
    colour: bool = True  # grey images get three equal channels

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs of uint8 images or of floats in 0 .. 1, [n, C, H, W]. Raises UsageError if floats are others."""
        x = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        require_unit(x, "this choice of features=")
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (self.scaled(x) - mean) / std

    def scaled(self, x: Tensor) -> Tensor:
        """Floats in 0 .. 1, [n, C, H, W], with the transform's channels and size."""
        if self.colour and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.size is not None:
            x = interpolate(x, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        return x


class Inputs(nn.Module):
    """A transform as the first layer of a net, float [N, C, H, W] in 0 .. 1 -> what the net was trained on."""

    def __init__(self, transform: Transform):
        super().__init__()
        self.transform = transform
        self.standardise = Standardise(torch.tensor(transform.mean), torch.tensor(transform.std))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.standardise(self.transform.scaled(x))
        return out


class Body(NamedTuple):
    """A net without its last layer."""

    net: nn.Module  # from inputs to features, [n, 3, H, W] -> [n, length], in evaluation mode
    length: int
    transform: Transform


def body_of(net: nn.Module, size: int, mean: tuple[float, ...], std: tuple[float, ...], option: str) -> Body:
    """The net as a body for images of `size`, after a pass of one image. Raises UsageError if it can't take it.

    `option` is what the user chose the net by, such as `model.name=vit_b_16`.
    """
    try:
        with torch.inference_mode():
            length = net.eval()(torch.zeros(1, 3, size, size)).shape[1]
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"{option} can't take images of {size} x {size} ({one_line(error)}); {option.partition('.')[0]}.size=null "
            "scales them to the size that the net was made for"
        ) from error
    return Body(net, length, Transform(size, mean, std))


class Headless(nn.Module):
    """A net without its last dense layer: what that layer would get, [N, C, H, W] -> [N, D].

    A net without dense layers gives its own outputs. Raises UsageError if there are further outputs, as those of
    Inception in training.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        last = last_dense(net)
        for parent in net.modules():
            for name, child in parent.named_children():
                if child is last:
                    setattr(parent, name, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        if not isinstance(out, Tensor):
            raise UsageError(
                f"this net has further outputs in training ({type(out).__name__}); choose another model.name"
            )
        return out.flatten(1)


def require_photographs(shape: tuple[int, int, int], who: str, instead: str) -> None:
    """Raises UsageError if images of `shape`, (C, H, W), are neither grey nor in colour, or are vectors.

    `who` is the user's choice, such as `features=timm`, and `instead` what to use.
    """
    if shape[0] not in (1, 3) or shape[1:] == (1, 1):
        raise UsageError(
            f"{who} is for grey or colour images, and these are {' x '.join(map(str, shape))}; use {instead}"
        )


def require_unit(x: Tensor, who: str) -> None:
    """Raises UsageError if floats are not in 0 .. 1. `who` is the user's choice, such as `model=timm`."""
    if not 0 <= float(x.min()) <= float(x.max()) <= 1:
        raise UsageError(
            f"the images' values are {float(x.min()):g} .. {float(x.max()):g}, and {who} takes "
            "uint8, or floats in 0 .. 1; scale them"
        )
