"""The turn of each strategy, by the number of labels alone."""

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from torch import Tensor

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.rng import Streams
from al_runner.strategies.badge import Badge
from al_runner.strategies.bait import Bait
from al_runner.strategies.in_turn import InTurn
from al_runner.strategies.look_ahead import LookAhead
from al_runner.strategies.random import Random
from al_runner.strategies.typiclust import TypiClust
from al_runner.strategies.uherding import UHerding
from al_runner.strategies.uncertainty import TopScore, margin
from al_runner.types import NO_IDS


def chosen(strategy: object, labelled: int) -> list[int]:
    """The choice of 6 images after this many labels; the images' predictions are a fixed table."""
    data = toy.data_set()
    pool = toy.bought(data, data.train[:labelled])
    table = torch.randn(11, 1, 3, generator=torch.Generator().manual_seed(0)).log_softmax(2)

    class ByFirstPixel(toy.Table):
        def log_probs(self, x: Tensor) -> Tensor:
            return super().log_probs(x[:, :1, :1, :1])

    return drive(strategy.query(ByFirstPixel(table), pool, 6, Streams(0, 1))).tolist()


@pytest.mark.parametrize(("labelled", "turn"), [(3, 0), (11, 0), (12, 1), (30, 1)])
def test_the_second_begins_at_4_labels_a_class_of_three(labelled: int, turn: int) -> None:
    both = (TypiClust(), TopScore(margin))
    choices = [chosen(one, labelled) for one in both]
    assert choices[0] != choices[1]
    assert chosen(InTurn(*both, until=4), labelled) == choices[turn]


def test_it_is_what_both_are() -> None:
    strategy = InTurn(UHerding(), Bait(max_candidates=50), until=1)
    assert strategy.needs == Bait().needs | UHerding().needs and strategy.draws
    assert strategy.plan(toy.experiment().budget).candidate_count == 50
    learner = toy.experiment().learner
    assert type(strategy.wrap(learner)) is type(UHerding().wrap(learner))
    assert not InTurn(Bait(), TopScore(margin), until=1).draws
    assert InTurn(Bait(), LookAhead([Badge()]), until=1).foresees and not strategy.foresees
    with pytest.raises(UsageError, match="dense layer"):
        InTurn(Random(), Badge(), until=1).check(torch.nn.Flatten(), NO_IDS)


def test_tcm_is_typiclust_and_then_margin() -> None:
    strategy = instantiate(configs.composed("strategy=tcm").strategy)
    assert strategy == InTurn(TypiClust(), strategy.then, until=10)
    assert chosen(strategy, 30) == chosen(TopScore(margin), 30)
    assert chosen(strategy, 29) == chosen(TypiClust(), 29)
