"""Short runs on a stand-in for two GPUs."""

from pathlib import Path

import configs
import numpy as np
import pytest
import torch
import toy
from hydra.core.hydra_config import HydraConfig
from sklearn.datasets import load_digits
from standin import StandIn

from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError
from al_runner.job.build import build
from al_runner.job.device import set_torch
from al_runner.job.placed import forget
from al_runner.record.provenance import fingerprint

SECOND = torch.device("cuda", 1)
QUICK = [
    *("budget.initial=20", "budget.query=6", "budget.max_rounds=2", "budget.max_labelled=null"),
    *("budget.max_fraction=null", "budget.candidates=60", "training.max_checks=2", "training.check_every=6"),
    *(f"device={SECOND}", "deterministic=true"),
]


def two_rounds(monkeypatch: pytest.MonkeyPatch, root: Path, *words: str) -> toy.Memory | UsageError:
    """The record of a run on the second GPU with deterministic algorithms; or why these parts do not fit each other.

    Whatever a GPU would refuse is an error.
    """
    cfg = configs.composed(*QUICK, f"data_root={root}", *words)
    if "recipe" in cfg.strategy:
        cfg.strategy.recipe.max_checks = 2
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    HydraConfig.instance().set_config(cfg)
    forget()  # what is on a stand-in's GPUs is gone with it
    with StandIn(2) as gpu:
        try:
            set_torch(cfg)
            experiment = build(cfg, SECOND)
            fingerprint(experiment.data)
            memory = toy.Memory()
            drive(experiment.run(memory), Stacked().train_all)
        except UsageError as error:
            return error
        finally:
            torch.use_deterministic_algorithms(False)
        assert not gpu.mismatches
        return memory


def two_classes(file: Path) -> list[str]:
    """Words for a data set of two digits, written to `file`, and for an oracle that labels images that are made."""
    x, y = load_digits(n_class=2, return_X_y=True)
    images = (16 * x).clip(0, 255).astype(np.uint8).reshape(-1, 8, 8)
    np.savez(file, train_images=images[:300], train_labels=y[:300], test_images=images[300:], test_labels=y[300:])
    return ["dataset=npz", f"dataset.path={file}", "oracle=classifier", "oracle.recipe.max_checks=20"]
