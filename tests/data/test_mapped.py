"""A mapped array against the one numpy loads."""

from pathlib import Path

import numpy as np
import pytest

from al_runner.data.mapped import mapped
from al_runner.errors import UsageError


def test_a_mapped_array_holds_what_numpy_loads_and_stays_on_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(50, 4, 4), dtype=np.uint8), rng.integers(10, size=50)
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels)
    for name, expected in {"train_images": images, "train_labels": labels}.items():
        found = mapped(tmp_path / "a.npz", name)
        assert isinstance(found, np.memmap)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
    found[:] = 0
    assert np.array_equal(np.load(tmp_path / "a.npz")["train_labels"], labels)


def test_what_cannot_be_mapped_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.asfortranarray(np.ones((2, 3))))
    with pytest.raises(UsageError, match=r"no array 'b'; it has a\.npy"):
        mapped(path, "b")
    with pytest.raises(UsageError, match="Fortran"):
        mapped(path, "a")
    np.savez_compressed(path, a=np.ones(3))
    with pytest.raises(UsageError, match="compressed"):
        mapped(path, "a")
