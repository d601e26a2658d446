"""Pseudo-labels against a hand-made table of predictions, and the learner that trains on them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import log
from typing import Any, ClassVar

import pytest
import torch
import toy
from torch import Tensor

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import UsageError
from al_runner.learners.fine_tuned import FineTuned
from al_runner.learners.plain import Plain
from al_runner.learners.pseudo_labels import PseudoLabels
from al_runner.models.inputs import net_builder
from al_runner.needs import Gives
from al_runner.pseudo_labels import CHUNK, pseudo_labels
from al_runner.rng import Streams
from al_runner.strategies.uncertainty import entropy
from al_runner.types import Fitted, TrainData

# Entropies in nats: 0.056, 0.325, 0, 0.693, 0.5004.
TABLE = torch.tensor([[0.99, 0.01], [0.1, 0.9], [0.0, 1.0], [0.5, 0.5], [0.8, 0.2]], dtype=torch.float64).log()[
    :, None
]  # [R, 1, Y]


def pixels(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None]


def below(most: float) -> Callable[[Tensor], Tensor]:
    return lambda log_probs: entropy(log_probs) < most


def test_confident_predictions_by_hand() -> None:
    unlabelled = pixels(4, 2, 1, 3, 0)
    x, y = pseudo_labels(toy.Table(TABLE), unlabelled, below(0.4))
    assert (x.flatten().tolist(), y.tolist()) == ([2, 1, 0], [1, 1, 0])
    x, y = pseudo_labels(toy.Table(TABLE), unlabelled, below(0.0))
    assert (x.shape, x.dtype, len(y)) == ((0, 1, 1, 1), torch.uint8, 0)
    many = torch.arange(CHUNK + 7).remainder(5).to(torch.uint8)[:, None, None, None]
    x, y = pseudo_labels(toy.Table(TABLE), many, below(0.06))
    assert x.flatten().tolist() == [value for value in many.flatten().tolist() if value in (0, 2)]
    assert y.tolist() == [0 if value == 0 else 1 for value in x.flatten().tolist()]


@dataclass(frozen=True)
class Noting:
    """A learner that records what it gets, and whose fits predict with `tables`, one after the other."""

    build: Any = None
    recipe: Any = None
    tables: tuple[Tensor, ...] = (TABLE,)
    seen: list[tuple[TrainData, Streams]] = field(default_factory=list)
    continues: ClassVar[bool] = False
    gives: ClassVar[Gives] = Gives(network=False)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        self.seen.append((data, streams))
        return toy.Table(self.tables[min(len(self.seen), len(self.tables)) - 1])


DATA = TrainData(pixels(0, 3), torch.tensor([1, 1]), pixels(0), torch.tensor([0]), pixels(4, 2, 1, 3, 0))


def fits(
    tables: tuple[Tensor, ...] = (TABLE,), data: TrainData = DATA, **options: Any
) -> list[tuple[TrainData, Streams]]:
    """What the inner learner gets in one fit of `PseudoLabels`."""
    noting = Noting(tables=tables)
    learner = PseudoLabels(toy.model, toy.recipe(), lambda build, recipe: noting, **options)
    assert learner.gives == noting.gives
    drive(learner.fit(data, Streams(7, 3)), train_all)
    return noting.seen


def test_the_second_fit_has_the_labels_and_the_predictions_that_reach_the_threshold() -> None:
    first, second = fits(threshold=0.9)
    assert first == (DATA, Streams(7, 3))
    assert second[0].x.flatten().tolist() == [0, 3, 2, 1, 0]
    assert second[0].y.tolist() == [1, 1, 1, 1, 0]  # .9 reaches the threshold; the labels stay as they are
    assert (second[0].added, second[0].val_x is DATA.val_x) == (3, True)
    assert second[1] == Streams(7, 3).of("pseudo-labels 0")


def test_every_further_fit_takes_the_pseudo_labels_of_the_fit_before_it_alone() -> None:
    surer = TABLE.clone()
    surer[3] = torch.tensor([0.02, 0.98], dtype=torch.float64).log()
    *_, last = fits((TABLE, surer), threshold=0.97, times=2)
    assert last[0].x.flatten().tolist() == [0, 3, 2, 3, 0]
    assert last[0].y.tolist() == [1, 1, 1, 1, 0]
    assert last[1] == Streams(7, 3).of("pseudo-labels 1")


def test_without_a_sure_prediction_or_without_unlabelled_images_the_first_fit_is_the_result() -> None:
    unsure = torch.full((5, 1, 2), log(0.5), dtype=torch.float64)
    assert len(fits((unsure,), threshold=0.6, times=3)) == 1
    assert len(fits(data=DATA._replace(unlabelled=None))) == 1


def test_the_first_fit_is_that_of_the_other_learner_and_validation_labels_are_never_trained_on() -> None:
    run = toy.experiment()
    pool = toy.bought(run.data, run.data.train[:30])
    data, build, recipe = run.train_data(pool), net_builder(run.data, toy.model), toy.recipe(max_checks=3)
    plain = drive(Plain(build, recipe).fit(data, Streams(0, 0)), train_all)
    alone = PseudoLabels(build, recipe, partial(Plain), threshold=1 - 1e-9)
    both = drive(alone.fit(data, Streams(0, 0)), train_all)
    assert torch.equal(plain.log_probs(run.data.images), both.log_probs(run.data.images))
    again = drive(PseudoLabels(build, recipe, partial(Plain), threshold=0.4).fit(data, Streams(0, 0)), train_all)
    assert not torch.equal(plain.log_probs(run.data.images), again.log_probs(run.data.images))


def test_a_learner_that_goes_on_from_its_last_fit_is_refused() -> None:
    tuned = partial(FineTuned, first=toy.recipe())
    with pytest.raises(UsageError, match=r"learner\.of continues from its last fit"):
        PseudoLabels(toy.model, toy.recipe(), tuned)
