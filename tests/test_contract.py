"""What every strategy in conf/strategy must hold, whatever it computes."""

import configs
import pytest
from hydra.utils import instantiate

from al_runner.strategies.base import Strategy
from al_runner.testing.case import Case, cases
from al_runner.testing.checks import CHECKS, Check


def built(name: str) -> Strategy:
    strategy: Strategy = instantiate(configs.composed(*configs.quicker(name)).strategy)
    return strategy


def chooses(strategy: Strategy) -> bool:
    """Whether it chooses images of the pool; some buy everything, and some make the images that they buy."""
    answers = type(strategy).select is not Strategy.select or type(strategy).query is not Strategy.query
    return answers and not strategy.makes_images


CHOOSING = {name: strategy for name in configs.strategies() if chooses(strategy := built(name))}
CASES = {f"{name}-{case.learner}": case for name, strategy in CHOOSING.items() for case in cases(strategy)}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_strategy(case: Case, check: Check) -> None:
    check(case)
