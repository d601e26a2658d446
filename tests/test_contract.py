"""What every strategy in conf/strategy must hold, whatever it computes."""

import pytest
import test_configs
from hydra.utils import instantiate

from al_runner.strategies.base import Strategy
from al_runner.testing.case import Case, cases
from al_runner.testing.checks import CHECKS, Check


def built(name: str) -> Strategy:
    cfg = test_configs.composed(f"strategy={name}").strategy
    if "recipe" in cfg:  # of a net that it trains to choose by
        cfg.recipe.max_checks = 20
    strategy: Strategy = instantiate(cfg)
    return strategy


# Which buys everything, and which makes what it buys: they choose nothing of the pool.
NAMES = [name for name in test_configs.names("strategy") if name not in ("full", "gaal")]
CASES = {f"{name}-{case.learner}": case for name in NAMES for case in cases(built(name))}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_strategy(case: Case, check: Check) -> None:
    check(case)
