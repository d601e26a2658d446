"""A net and a pool small enough for whole Fisher matrices."""

import pytest
import torch
import toy
from torch import nn

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.types import DataSet


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3))
        .double()
        .eval()
    )


@pytest.fixture
def pool() -> Pool:
    torch.manual_seed(1)
    images = torch.randint(0, 256, (60, 1, 4, 4)).double() / 255
    ids = torch.arange(60)
    data = DataSet(images, ids % 3, ids[10:50], ids[50:55], ids[55:], ("a", "b", "c"))
    pool = toy.bought(data, torch.tensor([12, 30, 31, 49]))
    pool.draw_candidates(14, stream(0, "candidates"))
    return pool
