"""A data set and a net small enough to train in milliseconds."""

from functools import partial

import torch
from torch import nn

from al_runner.types import DataSet, Recipe


def data_set(n: int = 160) -> DataSet:
    """Three classes, each a bright row of its own in noisy 6 x 6 images; ids of all three parts are interleaved."""
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
    """A dozen checks of four steps each, unless `changes` say otherwise."""
    settings = {"batch_size": 8, "check_every": 4, "patience": 3, "max_checks": 12, **changes}
    return Recipe(partial(torch.optim.Adam, lr=0.01), **settings)  # type: ignore[arg-type]
