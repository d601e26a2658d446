"""Small data sets of images, and choices of features that count their forward passes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from al_runner.features.base import Features
from al_runner.types import DataSet


def photographs(n: int = 30, size: int = 9, channels: int = 3, seed: int = 0) -> DataSet:
    """Random images of three classes; every third is a test image, and ten of the others are for training."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, channels, size, size + 1), generator=rng, dtype=torch.uint8)
    ids = torch.arange(n)
    train = ids[ids % 3 < 2]
    return DataSet(images, ids % 3 % 2, train[5:], train[:5], ids[ids % 3 == 2], ("a", "b"), source={"name": "x.npz"})


@dataclass(frozen=True)
class Counted(Features):
    """Means of rows of the red channel, by a net with a weight; every forward pass is noted."""

    batch: int = 4
    weight: float = 2.0
    passes: ClassVar[list[int]] = []
    stop_after: ClassVar[int | None] = None

    def identity(self, data: DataSet) -> Mapping[str, Any]:
        return {"weight": self.weight}

    def extractor(self, data: DataSet, device: torch.device) -> Callable[[Tensor], Tensor]:
        def extract(x: Tensor) -> Tensor:
            if self.stop_after is not None and len(self.passes) >= self.stop_after:
                raise KeyboardInterrupt
            self.passes.append(len(x))
            return self.weight * x[:, 0].float().mean(2)

        return extract


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setattr(Counted, "passes", [])
    return Counted
