"""A data set and a net that are small enough to train in milliseconds."""

from functools import partial

import torch
from torch import nn

from al_runner.training import Recipe
from al_runner.types import DataSet


def data_set(n: int = 160) -> DataSet:
    """Noisy 6 x 6 images of three classes, each with its own bright row; `train`, `val` and `test` ids alternate."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (n,), generator=rng)
    images = torch.randint(0, 150, (n, 1, 6, 6), generator=rng)
    images[torch.arange(n), 0, 2 * labels] += 60
    ids = torch.arange(n)
    return DataSet(
        images.to(torch.uint8), labels, ids[ids % 4 < 2], ids[ids % 4 == 2], ids[ids % 4 == 3], ("a", "b", "c")
    )


def model(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A convolution, dropout and a dense layer."""
    return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(64, classes))


def recipe(**changes: object) -> Recipe:
    """A recipe with at most twelve checks of four steps each; `changes` replace its fields."""
    settings = {"batch_size": 8, "check_every": 4, "patience": 3, "max_checks": 12, **changes}
    return Recipe(partial(torch.optim.Adam, lr=0.01), **settings)  # type: ignore[arg-type]
