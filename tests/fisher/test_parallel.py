"""Factors of parts, added up or computed in separate processes, against those of the whole."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher import added, factor_sums, mean_factors, parallel_mean_factors, product_traces

PARTS = (slice(0, 4), slice(4, 5), slice(5, 11))  # of unequal size: a mean of means would show


def example_net() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, groups=2), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3)]
    return nn.Sequential(*layers).double().eval()


def example_images() -> Tensor:
    return torch.randn(11, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def read(path: Path, rows: slice) -> Iterator[tuple[Tensor, None]]:
    """Two images at a time, from a file that each process opens itself."""
    images = torch.from_numpy(np.load(path, mmap_mode="c")[rows])
    return ((part, None) for part in images.split(2))


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    net, x = example_net(), example_images()
    parts = [factor_sums(net, [(x[rows], None)]) for rows in PARTS]
    total = added(parts)
    assert total.examples == 11
    torch.testing.assert_close(total.mean(), mean_factors(net, [(x, None)]), rtol=1e-12, atol=1e-16)
    # The parts are left as they were.
    torch.testing.assert_close(parts[0].mean(), mean_factors(net, [(x[:4], None)]), rtol=0, atol=0)


def test_processes_find_the_factors_of_the_whole(tmp_path: Path) -> None:
    net, x = example_net(), example_images()
    np.save(tmp_path / "images.npy", x.numpy())
    parts = [partial(read, tmp_path / "images.npy", rows) for rows in PARTS]
    factors = parallel_mean_factors(net, parts, processes=2)
    torch.testing.assert_close(factors, mean_factors(net, [(x, None)]), rtol=1e-12, atol=1e-16)


def test_a_process_names_the_layer_it_cannot_treat(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, 3), np.float32))
    parts = [partial(read, tmp_path / "images.npy", slice(0, 2))]
    with pytest.raises(UsageError, match="'1' is PReLU"):
        parallel_mean_factors(nn.Sequential(nn.Linear(3, 3), nn.PReLU()).eval(), parts, processes=1)


def test_no_images_in_any_part_are_refused() -> None:
    with pytest.raises(UsageError, match="empty set"):
        added([]).mean()


def test_traces_of_another_number_of_examples_are_refused() -> None:
    net, x = example_net(), example_images()
    factors = mean_factors(net, [(x, None)])
    torch.testing.assert_close(product_traces(net, x.split(4), factors, 11), product_traces(net, [x], factors))
    with pytest.raises(ValueError, match="10 examples were asked for, but there are 9"):
        product_traces(net, [x[:9]], factors, 10)
