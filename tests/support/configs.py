"""What conf/ composes."""

from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import al_runner.main  # noqa: F401 - registers the resolvers
from al_runner.settings.groups import conf_dir

CONF = conf_dir()


def names(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def strategies() -> list[str]:
    """Every strategy but `replay`, which repeats what another one chose (tests/strategies/test_replay.py)."""
    return [name for name in names("strategy") if name != "replay"]


def composed(*overrides: str) -> DictConfig:
    """A copy for the caller to change; Hydra composes each configuration once."""
    return deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)
