"""The precision of products, and what an engine logs about bfloat16 on a processor."""

from collections.abc import Iterator

import pytest
import torch
import toy

from al_runner.engine import precision as module
from al_runner.engine.precision import has_bfloat16, precision, warn_of_slow_bfloat16


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    warn_of_slow_bfloat16.cache_clear()
    yield
    warn_of_slow_bfloat16.cache_clear()


@pytest.mark.parametrize("can", [True, False])
def test_a_processor_without_bfloat16_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, can: bool
) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda capabilities: can)
    for kind in ("float32", "bfloat16", "bfloat16"):
        with precision(toy.recipe(precision=kind), torch.device("cpu")):
            assert torch.is_autocast_enabled("cpu") == (kind == "bfloat16")
    assert len([line for line in caplog.messages if "use training.precision=float32" in line]) == (not can)


@pytest.mark.parametrize("before", [(False, True), (True, False)])
def test_products_have_the_recipe_s_precision_and_afterwards_what_they_had(before: tuple[bool, bool]) -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    found = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32, cudnn.allow_tf32 = before
        for kind, allowed in (("float32", False), ("tf32", True), ("bfloat16", True)):
            with pytest.raises(KeyError), precision(toy.recipe(precision=kind), torch.device("cpu")):
                assert (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
                raise KeyError
            assert (matmul.allow_tf32, cudnn.allow_tf32) == before
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = found


def test_the_processor_s_instructions_show_bfloat16() -> None:
    assert not has_bfloat16({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False})
    assert has_bfloat16({"avx512_bf16": True})
    assert has_bfloat16({"neon": True, "bf16": True})
    assert {"avx512_bf16", "amx_bf16"} <= set(torch.cpu.get_capabilities()) or "bf16" in torch.cpu.get_capabilities()
