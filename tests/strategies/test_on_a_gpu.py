"""Every strategy for two rounds on a stand-in for two GPUs: what a card would refuse is refused here."""

from pathlib import Path

import configs
import pytest
import torch
from standin_runs import two_classes, two_rounds

from al_runner.errors import UsageError

LEARNERS = [
    ["model.hidden=32"],
    ["model.hidden=32", "learner=ensemble", "learner.members=2"],
    ["model=gal2017_cnn", "learner=dropout", "learner.samples=3", "learner.shared_masks=true"],
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
@pytest.mark.parametrize("strategy", configs.strategies())
def test_it_runs_on_the_second_gpu_with_deterministic_algorithms(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the first learner that it takes."""
    data = two_classes(tmp_path / "two.npz") if strategy == "gaal" else ["dataset=digits"]
    refusals = []
    for learner in LEARNERS:
        outcome = two_rounds(monkeypatch, tmp_path, *configs.quicker(strategy), *data, *learner)
        if not isinstance(outcome, UsageError):
            assert len(outcome.rows) == (1 if strategy == "full" else 3)
            return
        refusals.append(str(outcome))
    pytest.fail(f"no learner will do: {refusals}")
