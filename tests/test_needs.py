import re
from itertools import product

import configs
import pytest
import toy
from hydra.utils import instantiate

from al_runner.errors import UsageError
from al_runner.models.inputs import net_builder
from al_runner.needs import Gives, Needs
from al_runner.types import Learner

ALL = [Needs(*flags) for flags in product((False, True), repeat=4)]


def learner(*words: str) -> Learner:
    built: Learner = instantiate(configs.composed(*words).learner, _partial_=True)(
        build=net_builder(toy.data_set(), toy.model)
    )
    return built


def named(remedy: str) -> list[list[str]]:
    """The words of the command line for every learner that an error names."""
    first, *others = re.split(r", or |, | or ", remedy)
    return [(part if "=" in part else f"learner={part}").split() for part in (first, *others)]


@pytest.mark.parametrize("needs", ALL, ids=str)
def test_every_learner_that_the_error_names_gives_what_is_needed(needs: Needs) -> None:
    nothing = Gives(samples=1, consistent=False, network=False, features=False)
    if needs == Needs():
        needs.require(nothing, "Mine")
        return
    with pytest.raises(UsageError, match=r"Mine needs .*; use learner=") as error:
        needs.require(nothing, "Mine")
    for words in named(str(error.value).rpartition("; use ")[2]):
        needs.require(learner(*words).gives, "Mine")


@pytest.mark.parametrize(
    ("gives", "unmet"),
    [
        (Gives(), {"samples", "consistent"}),
        (Gives(samples=5, network=False), {"network"}),
        (Gives(samples=5, consistent=False), {"consistent"}),
        (Gives(samples=5), set()),
        (Gives(network=False, features=False), {"samples", "consistent", "network", "features"}),
    ],
)
def test_each_need_is_compared_with_its_own_gift(gives: Gives, unmet: set[str]) -> None:
    for need in ("samples", "consistent", "network", "features"):
        assert (Needs(**{need: True}).unmet(gives) is not None) == (need in unmet)


def test_two_needs_together() -> None:
    for one, other in product(ALL, repeat=2):
        both = one | other
        for gives in (Gives(*values) for values in product((1, 3), *[(False, True)] * 3)):
            assert (both.unmet(gives) is None) == (one.unmet(gives) is None and other.unmet(gives) is None)
