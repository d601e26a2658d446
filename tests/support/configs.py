"""What conf/ composes."""

from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import al_runner.main  # noqa: F401 - registers the resolvers
from al_runner.settings.groups import conf_dir

CONF = conf_dir()
# What makes the nets of model= that have trained weights in a test: no download, and small images.
UNTRAINED = {
    "torchvision": ("model.weights=null", "model.size=32"),
    "timm": ("model.pretrained=false", "model.size=32"),
    "efficientnet_lite0": ("model.pretrained=false", "model.size=32"),
}

# What lets a strategy that computes for minutes choose in a second or two.
OF_A_CLASSIFIER = ("strategy.recipe.max_checks=20", "strategy.mini_queries=2")
OF_A_GENERATOR = ("strategy.recipe.check_passes=1", "strategy.maps=8", "strategy.units=64")
QUICKER = {
    "discriminative": OF_A_CLASSIFIER,
    "discriminative_28": OF_A_CLASSIFIER,
    "discriminative_512": OF_A_CLASSIFIER,
    "gaal": (*OF_A_GENERATOR, "strategy.steps=10"),
    "look_ahead": ("strategy.batches=4",),
    "refine": ("strategy.levels=2", "strategy.batches=9"),
    "select_al": ("strategy.hold_outs=1", "strategy.random_removals=2"),
    "vaal": OF_A_GENERATOR,
    "vaal_full": OF_A_GENERATOR,
}


def names(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def strategies() -> list[str]:
    """Every strategy but `replay`, which repeats what another one chose (tests/strategies/test_replay.py)."""
    return [name for name in names("strategy") if name != "replay"]


def models() -> list[Any]:
    """Every model, as a parameter of a test; one whose package is missing is skipped."""
    missing = {"timm"} if find_spec("timm") is None else set()
    skip = pytest.mark.skip(reason="needs al-runner[features]")
    return [pytest.param(name, marks=skip) if name in missing else name for name in names("model")]


def quicker(name: str) -> list[str]:
    """The words that choose a strategy, in no more than a second or two."""
    return [f"strategy={name}", *QUICKER.get(name, ())]


def model(name: str, *overrides: str) -> DictConfig:
    """The configuration of a model, without trained weights."""
    config: DictConfig = composed(f"model={name}", *UNTRAINED.get(name, ()), *overrides).model
    return config


def composed(*overrides: str) -> DictConfig:
    """A copy for the caller to change; Hydra composes each configuration once."""
    return deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)
