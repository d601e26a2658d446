"""The precision in which nets are trained."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import torch

from al_runner.training import Recipe

log = logging.getLogger(__name__)


@contextmanager
def precision(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """While open, the recipe's precision holds: plain float32, TF32 products, or bfloat16 autocast."""
    if recipe.precision == "bfloat16" and device.type == "cpu":
        warn_of_slow_bfloat16()
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = recipe.precision != "float32"
    try:
        # No cache: a CUDA graph would keep a cached cast of the weights from the time when it was captured.
        with torch.autocast(device.type, torch.bfloat16, recipe.precision == "bfloat16", cache_enabled=False):
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@lru_cache(maxsize=1)
def warn_of_slow_bfloat16() -> None:
    """Log one warning if this processor has no instruction for products of bfloat16 numbers."""
    if not has_bfloat16(torch.cpu.get_capabilities()):
        log.warning("this processor has no bfloat16 products: training in it is slow; use training.precision=float32")


def has_bfloat16(capabilities: Mapping[str, object]) -> bool:
    """Whether a processor has bfloat16 products, from torch's names of its capabilities (Intel and AMD, and Arm)."""
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))
