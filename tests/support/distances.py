"""Distances by their definition, one pair after another."""

import torch
from torch import Tensor


def points(n: int, seed: int, d: int = 2) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distances(x: Tensor, y: Tensor) -> Tensor:
    """By the definition, one difference after another."""
    return torch.stack([torch.stack([(a - b).square().sum().sqrt() for b in y]) for a in x])


def radius(x: Tensor, centres: Tensor) -> float:
    return float(distances(x, centres).amin(1).max())
