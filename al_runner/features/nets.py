"""Features that a trained net gives, whose weights do not change.

N images of C x H x W values, D features.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from al_runner.features.base import Features
from al_runner.models.by_name import Size
from al_runner.models.photographs import Transform, require_photographs
from al_runner.types import DataSet


class Frozen(NamedTuple):
    """A trained net with what it needs."""

    net: Callable[[Tensor], Tensor]  # from inputs to features, [n, C, H, W] -> [n, D]
    transform: Transform
    weights: str  # a hash


@dataclass(frozen=True)
class OfNet(Features):
    """Features of a trained net; a subclass says by `load` how the net is made."""

    size: Size = None

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


def require_images(data: DataSet | None, name: str) -> None:
    """Raises UsageError if the data set has no grey or colour images, for which nets of photographs are made."""
    if data is not None:
        require_photographs(data.image_shape, f"features={name}", "features=pixels, features=own, or no features=")


def hash_of(net: nn.Module) -> str:
    """A hexadecimal hash of a net's weights and buffers, with their names."""
    hashed = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        hashed.update(f"{name} {value.dtype} {[*value.shape]}".encode())
        hashed.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()
