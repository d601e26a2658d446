from typing import Any

import pytest
import torch

from al_runner.errors import UsageError
from al_runner.job.device import torch_device


def test_a_device_without_float64_is_refused_before_any_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's GPUs have no float64; torch raises a TypeError there."""

    def of_an_apple_gpu(*size: int, dtype: torch.dtype = torch.float32, **options: Any) -> None:
        if dtype is torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(torch, "zeros", of_an_apple_gpu)
    with pytest.raises(UsageError, match="device=mps has no float64 numbers, which al-run needs; use device=cpu"):
        torch_device("mps", job=0)


def test_a_device_without_memory_is_refused() -> None:
    with pytest.raises(UsageError, match="device=meta can't be used here"):
        torch_device("meta", job=0)
