"""Features that a trained net gives, whose weights do not change.

N images of C x H x W values, D features.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from al_runner.errors import UsageError
from al_runner.features.base import Features
from al_runner.models.dense import inputs_of, last_dense
from al_runner.settings.kinds import Count, Means
from al_runner.types import DataSet


class Transform(NamedTuple):
    """From images of 0 .. 1 to a net's inputs."""

    size: int | None  # pixels a side; None: as they are
    mean: tuple[float, ...]  # of every channel, or one of all
    std: tuple[float, ...]
    colour: bool = True  # grey images get three equal channels

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs of uint8 images or of floats in 0 .. 1, [n, C, H, W]. Raises UsageError if floats are others."""
        x = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        if not 0 <= float(x.min()) <= float(x.max()) <= 1:
            raise UsageError(
                f"the images' values are {float(x.min()):g} .. {float(x.max()):g}, and this choice of features= takes "
                "uint8, or floats in 0 .. 1; scale them"
            )
        if self.colour and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.size is not None:
            x = interpolate(x, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (x - mean) / std


class Frozen(NamedTuple):
    """A trained net with what it needs."""

    net: Callable[[Tensor], Tensor]  # from inputs to features, [n, C, H, W] -> [n, D]
    transform: Transform
    weights: str  # a hash


@dataclass(frozen=True)
class OfNet(Features):
    """Features of a trained net; a subclass says by `load` how the net is made."""

    size: Annotated[
        Count | None, Means("pixels a side that images are scaled to; null: those that the net was made for")
    ] = None

    def load(self) -> Frozen:
        """The net in evaluation mode. Raises UsageError if a package or the weights are missing."""
        raise NotImplementedError

    @cached_property
    def loaded(self) -> Frozen:
        """The net, loaded once."""
        return self.load()

    def identity(self, data: DataSet) -> Mapping[str, Any]:
        return {"weights": self.loaded.weights, "transform": [*self.loaded.transform]}

    def extractor(self, data: DataSet, device: torch.device) -> Callable[[Tensor], Tensor]:
        frozen = self.loaded
        net = frozen.net.to(device) if isinstance(frozen.net, nn.Module) else frozen.net
        return lambda x: net(frozen.transform(x))


def require_photographs(data: DataSet | None, name: str) -> None:
    """Raises UsageError if the data set has no grey or colour images, for which nets of photographs are made."""
    if data is not None and (data.image_shape[0] not in (1, 3) or data.image_shape[1:] == (1, 1)):
        raise UsageError(
            f"features={name} is for grey or colour images, and these are {' x '.join(map(str, data.image_shape))}; "
            "use features=pixels, features=own, or no features="
        )


def hash_of(net: nn.Module) -> str:
    """A hexadecimal hash of a net's weights and buffers, with their names."""
    hashed = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        hashed.update(f"{name} {value.dtype} {[*value.shape]}".encode())
        hashed.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


class WithoutHead(nn.Module):
    """Inputs of a net's last dense layer, or the output of a net that has no such layer, flattened to [n, D]."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        layer = last_dense(self.net)
        return self.net(x).flatten(1) if layer is None else inputs_of(layer, self.net, x)
