"""Every learner for two rounds on a stand-in for two GPUs."""

from pathlib import Path

import configs
import pytest
import torch
from standin_runs import two_rounds

OPTIONS = {
    **{name: ["learner.samples=1"] for name in ("acgan", "acgan_small", "vae_acgan", "vae_acgan_small")},
    "bootstrap": ["learner.members=2"],
    "dropout": ["model=gal2017_cnn", "learner.samples=3"],
    "dropout_tuned": ["model=gal2017_cnn", "learner.of.samples=3"],
    "ensemble": ["learner.members=2"],
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
@pytest.mark.parametrize("learner", configs.names("learner"))
def test_it_runs_on_the_second_gpu_with_deterministic_algorithms(
    learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"learner={learner}", "strategy=random", "dataset=digits", *OPTIONS.get(learner, [])]
    outcome = two_rounds(monkeypatch, tmp_path, *words)
    assert not isinstance(outcome, Exception), outcome
    assert len(outcome.rows) == 3
