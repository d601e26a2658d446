"""From stored images to the input of a net."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.system.chunks import rows_in_parts
from al_runner.types import DataSet

# A data set that no job uses any more may be freed, so it must not be held here.
_statistics: WeakKeyDictionary[DataSet, tuple[Tensor, Tensor]] = WeakKeyDictionary()


class Standardise(nn.Module):
    """The first layer of every net: [N, C, H, W] of any type -> float, every channel with mean 0 and variance 1."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("scale", 1 / std[:, None, None])
        self.register_buffer("shift", -(mean / std)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x.to(self.scale.dtype), self.scale)


def channel_statistics(data: DataSet, chunk: int = 8192) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel over the training images, float32 [C] each; no label is used.

    `chunk` images, or fewer large ones, are read at once; sums are float64.
    """
    total = torch.zeros(2, data.images.shape[1], dtype=torch.float64)
    for ids in rows_in_parts(data.train, chunk, prod(data.image_shape)):
        values = data.images[ids].double()
        total += torch.stack([values.mean((0, 2, 3)), values.square().mean((0, 2, 3))]).cpu() * len(ids)
    mean, square = total / len(data.train)
    # A constant channel has no scale; 1 leaves it as it is.
    std = (square - mean.square()).clamp_min(0).sqrt()
    return mean.float(), torch.where(std > 0, std, 1.0).float()


def known_statistics(data: DataSet) -> tuple[Tensor, Tensor]:
    """`channel_statistics`, computed once for a data set."""
    if data not in _statistics:
        _statistics[data] = channel_statistics(data)
    return _statistics[data]


def unit(data: DataSet) -> tuple[Tensor, Tensor]:
    """0 and the largest byte for every channel, float32 [C] each; 0 and 1 for floats."""
    channels = data.images.shape[1]
    largest = 255.0 if data.images.dtype == torch.uint8 else 1.0
    return torch.zeros(channels), torch.full((channels,), largest)


@runtime_checkable
class OwnInputs(Protocol):
    """A model whose nets standardise their inputs by themselves, from values of 0 to 1."""

    def require_inputs(self, data: DataSet) -> None:
        """Raises UsageError if its nets can't take the images of the data set."""


@dataclass(frozen=True)
class NetBuilder:
    """Builds `model` for one shape of images, from their values to logits; equal reprs mean equal architectures."""

    model: Callable[[tuple[int, int, int], int], nn.Module]
    image_shape: tuple[int, int, int]
    classes: int
    mean: Tensor = field(repr=False)
    std: Tensor = field(repr=False)
    dtype: torch.dtype = torch.uint8  # of the images

    def __call__(self) -> nn.Module:
        net = self.model(self.image_shape, self.classes)
        if not isinstance(net, nn.Module):
            given = f"the class {net.__name__}" if isinstance(net, type) else type(net).__name__
            raise UsageError(f"the model's function returned {given}; return a torch.nn.Module, made and ready")
        return nn.Sequential(OrderedDict(input=Standardise(self.mean, self.std), net=net))


def net_builder(
    data: DataSet, model: Callable[[tuple[int, int, int], int], nn.Module], standardise: bool = True
) -> NetBuilder:
    """A builder of `model` for the images and classes of `data`.

    Without `standardise`, the net sees bytes divided by 255, and floats as they are, and so does a model of `OwnInputs`
    in any case. Raises UsageError if such a model can't take the images.
    """
    if isinstance(model, OwnInputs):
        model.require_inputs(data)
        standardise = False
    inputs = known_statistics(data) if standardise else unit(data)
    return NetBuilder(model, data.image_shape, len(data.classes), *inputs, data.images.dtype)
