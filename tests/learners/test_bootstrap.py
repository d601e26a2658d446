import pytest
import torch
import toy
from torch import Tensor

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train, train_all
from al_runner.errors import UsageError
from al_runner.learners.bootstrap import Bootstrap, resample
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams, stream
from al_runner.training import Fit, Trained
from al_runner.types import TrainData


def labels() -> Tensor:
    """30, 9 and 1 labels of three classes, mixed."""
    y = torch.tensor([0] * 30 + [1] * 9 + [2])
    return y[torch.randperm(40, generator=torch.Generator().manual_seed(0))]


def test_a_stratified_resample_keeps_every_class_s_number_and_repeats_examples() -> None:
    y = labels()
    for seed in range(20):
        rows = resample(y, True, stream(seed, "bootstrap"))
        assert y[rows].bincount().tolist() == [30, 9, 1]
        assert len(rows.unique()) < 40


def test_a_plain_resample_is_uniform_over_all_examples() -> None:
    draws = torch.cat([resample(labels(), False, stream(seed, "bootstrap")) for seed in range(1000)])
    counts = draws.bincount(minlength=40).double()
    assert len(draws) == 40000
    chi_square = float(((counts - 1000).square() / 1000).sum())
    assert 13 < chi_square < 80  # 39 degrees of freedom: beyond either with a probability below 1e-4


def test_a_stratified_resample_is_uniform_within_a_class() -> None:
    y = labels()
    draws = torch.cat([resample(y, True, stream(seed, "bootstrap")) for seed in range(1000)])
    counts = draws.bincount(minlength=40).double()[y == 1]
    assert float(((counts - 1000).square() / 1000).sum()) < 30  # 8 degrees of freedom: below 3e-4


@pytest.mark.parametrize("stratified", [False, True])
def test_without_reshuffling_a_resample_keeps_the_order_of_purchase(stratified: bool) -> None:
    """If the resample were sorted by class, every minibatch would have a single class."""
    data, asked = toy.data_set(), list[Fit]()
    bought = TrainData(data.images[:60], data.labels[:60], *data.validation)
    recipe = toy.recipe(reshuffle=False, batch_size=20, max_checks=1)

    def engine(fits: list[Fit]) -> list[Trained | Exception]:
        asked.extend(fits)
        return train_all(fits)

    learner = Bootstrap(net_builder(data, toy.model), recipe, members=2, stratified=stratified)
    drive(learner.fit(bought, Streams(0, 1)), engine)  # type: ignore[arg-type]
    for fit in asked:
        rows = [next(row for row, own in enumerate(bought.x) if torch.equal(own, image)) for image in fit.data.x]
        assert rows == sorted(rows)
        assert len(set(rows)) < 60
        assert all(len(part.unique()) > 1 for part in fit.data.y.split(20))


def test_every_member_is_trained_on_its_own_resample() -> None:
    data = toy.data_set()
    bought = TrainData(data.images[:20], data.labels[:20], *data.validation)
    learner = Bootstrap(net_builder(data, toy.model), toy.recipe(), members=3)
    asked: list[Fit] = []

    def engine(fits: list[Fit]) -> list[Trained | Exception]:
        asked.extend(fits)
        return train_all(fits)

    fitted = drive(learner.fit(bought, Streams(0, 4)), engine)  # type: ignore[arg-type]
    assert len(asked) == len(fitted.nets) == learner.gives.samples == 3
    for member, fit in enumerate(asked):
        rows = resample(bought.y, True, Streams(0, 4).of(member)("bootstrap"))
        assert torch.equal(fit.data.x, bought.x[rows])
        assert torch.equal(fit.data.y, bought.y[rows])
        assert torch.equal(fit.data.val_x, bought.val_x)
        alone = train(Fit(learner.build, learner.recipe, fit.data, Streams(0, 4).of(member)))
        assert torch.equal(fitted.nets[member](data.images), alone.net.eval()(data.images))
    assert not torch.equal(asked[0].data.x, asked[1].data.x)
    assert fitted.steps == sum(train(fit).steps for fit in asked)


def test_no_members_are_refused() -> None:
    with pytest.raises(UsageError, match=r"learner.members is 0"):
        Bootstrap(net_builder(toy.data_set(), toy.model), toy.recipe(), members=0)
