"""The images' own values as features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from al_runner.features.base import Features
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.types import DataSet


@options("features")
@dataclass(frozen=True)
class Pixels(Features):
    """All values of an image in one row, as floats."""

    size: Annotated[Count | None, Means("pixels a side that images are scaled to first; null: as they are")] = None

    def identity(self, data: DataSet) -> Mapping[str, Any]:
        return {"size": self.size}

    def extractor(self, data: DataSet, device: torch.device) -> Callable[[Tensor], Tensor]:
        def extract(x: Tensor) -> Tensor:
            x = x.float()
            if self.size is not None:
                x = interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
            return x.flatten(1)

        return extract
