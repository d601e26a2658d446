"""Training that continues from the last weights, on a mixture of new and old labels, in both engines."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
import torch
import toy

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train
from al_runner.engine.parts import orders
from al_runner.engine.stacked import train_stack
from al_runner.errors import UsageError
from al_runner.learners.fine_tuned import FineTuned
from al_runner.learners.plain import Plain, SingleNet
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams, stream
from al_runner.training import Fit, Trained
from al_runner.types import TrainData

BUILD = net_builder(toy.data_set(), toy.model)


def data(n: int, old: int) -> TrainData:
    toys = toy.data_set()
    return TrainData(toys.images[toys.train[:n]], toys.labels[toys.train[:n]], *toys.validation, old=old)


def learner(novel: float | None = None, keep_optimizer: bool = False) -> FineTuned:
    return FineTuned(BUILD, toy.recipe(max_checks=3), toy.recipe(), novel, keep_optimizer)


def run(memory: toy.Memory, novel: float | None = None, keep_optimizer: bool = False) -> toy.Memory:
    drive(replace(toy.experiment(), learner=learner(novel, keep_optimizer)).run(memory))
    return memory


def test_the_first_fit_is_that_of_learner_plain() -> None:
    plain = drive(Plain(BUILD, toy.recipe()).fit(data(12, 0), Streams(0, 0)))  # type: ignore[arg-type]
    first = drive(learner(0.1).fit(data(12, 0), Streams(0, 0)))  # type: ignore[arg-type]
    assert first.steps == plain.steps
    assert all(torch.equal(*pair) for pair in zip(first.net.parameters(), plain.net.parameters(), strict=True))


@pytest.mark.parametrize("novel", [None, 0.25])
def test_a_later_fit_starts_from_the_last_weights(novel: float | None) -> None:
    """With a learning rate of 0 it also ends with them, although it takes its steps."""
    still = toy.recipe()
    still = replace(still, optimizer=partial(torch.optim.SGD, lr=0.0))
    before = drive(learner().fit(data(12, 0), Streams(0, 0)))  # type: ignore[arg-type]
    after = drive(FineTuned(BUILD, still, still, novel).fit(data(17, 12), Streams(0, 1), before))  # type: ignore[arg-type]
    assert after.steps > 0
    assert all(torch.equal(*pair) for pair in zip(after.net.parameters(), before.net.parameters(), strict=True))
    moved = drive(learner(novel).fit(data(17, 12), Streams(0, 1), before))  # type: ignore[arg-type]
    assert not any(torch.equal(*pair) for pair in zip(moved.net.parameters(), before.net.parameters(), strict=True))


def test_the_chances_of_new_and_old() -> None:
    chances = learner(0.1).chances(data(12, 9))
    assert chances is not None
    assert torch.allclose(chances, torch.tensor([0.1] * 9 + [0.1 / 3] * 3))
    assert learner(0.1).chances(data(12, 0)) is learner(None).chances(data(12, 9)) is None


def test_examples_that_were_not_bought_count_as_old_ones() -> None:
    more = data(12, 9)
    chances = learner(0.1).chances(more.plus(more.x[:4], more.y[:4]).plus(more.x[:2], more.y[:2]))
    assert chances is not None
    assert torch.allclose(chances, torch.tensor([0.9 / 15] * 9 + [0.1 / 3] * 3 + [0.9 / 15] * 6))


def test_a_later_fit_draws_by_the_chances() -> None:
    """The chances are in the fit that the engine gets; the first round uses passes over all examples."""
    asked = []

    def engine(fits: Sequence[Fit]) -> list[Trained]:
        asked.extend(fits)
        return [train(fit) for fit in fits]

    before = drive(learner(0.1).fit(data(12, 0), Streams(0, 0)), engine)  # type: ignore[arg-type]
    drive(learner(0.1).fit(data(17, 12), Streams(0, 1), before), engine)  # type: ignore[arg-type]
    first, later = asked
    wanted = learner(0.1).chances(data(17, 12))
    assert first.chances is None
    assert wanted is not None
    assert torch.equal(later.chances, wanted)


def test_minibatches_are_drawn_by_their_chances() -> None:
    """5,000 minibatches of 64 that are 1/10 new: the share's standard deviation is 0.0005; a minibatch's 0.0375."""
    recipe = toy.recipe(batch_size=64)
    chances = learner(0.1).chances(data(60, 57))
    batches = orders(60, recipe, stream(0, "order"), chances)
    drawn = torch.stack([next(batches) for _ in range(5000)])
    new = (drawn >= 57).double().mean(1)
    assert abs(float(new.mean()) - 0.1) < 0.0025
    assert float(new.std()) == pytest.approx(0.0375, rel=0.05)
    assert torch.bincount(drawn.flatten()).min() > 4000  # every example is used


def test_a_stack_trains_as_one_by_one() -> None:
    before = drive(learner().fit(data(12, 0), Streams(0, 0)))  # type: ignore[arg-type]
    assert isinstance(before, SingleNet)
    start, chances = before.net.state_dict(), learner(0.3).chances(data(21, 12))
    asked = [
        Fit(BUILD, toy.recipe(), data(21, 12), Streams(seed, 1), start=start, chances=chances) for seed in range(3)
    ]
    for one, fit in zip(train_stack(asked), asked, strict=True):
        other = train(fit)
        assert isinstance(one, Trained)
        assert one.steps == other.steps
        for value, twin in zip(one.net.parameters(), other.net.parameters(), strict=True):
            torch.testing.assert_close(value, twin, rtol=0, atol=1e-5)


def test_the_optimiser_goes_on_from_its_last_state() -> None:
    """Adam counts its steps: those of both fits with keep_optimizer, otherwise those of one."""
    before = drive(learner(keep_optimizer=True).fit(data(12, 0), Streams(0, 0)))  # type: ignore[arg-type]
    after = drive(learner(keep_optimizer=True).fit(data(17, 12), Streams(0, 1), before))  # type: ignore[arg-type]
    counts = [{int(state["step"]) for state in fitted.optimizer_state.values()} for fitted in (before, after)]
    assert counts == [{before.steps}, {before.steps + after.steps}]
    anew = drive(learner().fit(data(17, 12), Streams(0, 1), before))  # type: ignore[arg-type]
    assert anew.optimizer_state is None
    assert not any(torch.equal(*pair) for pair in zip(anew.net.parameters(), after.net.parameters(), strict=True))


@pytest.mark.parametrize(("novel", "keep_optimizer"), [(None, False), (0.3, False), (None, True)])
@pytest.mark.parametrize("rounds", range(6))
def test_a_run_resumes(novel: float | None, keep_optimizer: bool, rounds: int) -> None:
    whole, part = run(toy.Memory(), novel, keep_optimizer), toy.Memory()
    part.ids, part.rows = whole.ids[:rounds], whole.rows[:rounds]
    assert run(part, novel, keep_optimizer).untimed() == whole.untimed()


def test_every_fit_gets_the_number_of_old_labels() -> None:
    seen = []

    class Watched(FineTuned):
        async def fit(self, data: TrainData, streams: Streams, previous: object = None) -> SingleNet:
            seen.append((data.old, len(data.y)))
            return await super().fit(data, streams, previous)  # type: ignore[arg-type]

    drive(replace(toy.experiment(), learner=Watched(BUILD, toy.recipe(), toy.recipe(), 0.1)).run(toy.Memory()))
    assert seen == [(0, 6), (6, 11), (11, 16), (16, 21), (21, 26)]


@pytest.mark.parametrize("novel", [0.0, 1.0, -0.1])
def test_a_share_that_means_nothing_is_refused(novel: float) -> None:
    with pytest.raises(UsageError, match=r"learner\.novel"):
        learner(novel)
