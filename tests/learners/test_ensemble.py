from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train
from al_runner.engine.parts import orders
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError
from al_runner.learners.committee import Committee
from al_runner.learners.ensemble import Ensemble
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.training import Fit, Recipe, Trained

STREAMS = Streams(0, 2)


def learner(recipe: Recipe | None = None, **options: object) -> Ensemble:
    return Ensemble(net_builder(toy.data_set(), toy.model), recipe or toy.recipe(), **options)  # type: ignore[arg-type]


def fit(learner: Ensemble, streams: Streams = STREAMS) -> Committee:
    return drive(learner.fit(toy.train_data(), streams))  # type: ignore[arg-type]


def weights(net: nn.Module) -> list[Tensor]:
    return [value.detach() for value in net.parameters()]


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def untrained(ensemble: Ensemble, streams: Streams = STREAMS) -> list[nn.Module]:
    """The members before their first step."""

    def start(fits: list[Fit]) -> list[object]:
        still = replace(fits[0].recipe, max_checks=1, check_every=1, optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
        return [train(fit._replace(recipe=still)) for fit in fits]

    return list(drive(ensemble.fit(toy.train_data(), streams), start).nets)  # type: ignore[arg-type]


def test_a_member_is_what_its_own_streams_train() -> None:
    ensemble = learner(members=3)
    committee = fit(ensemble)
    for i, net in enumerate(committee.nets):
        alone = train(Fit(ensemble.build, ensemble.recipe, toy.train_data(), STREAMS.of(i)))
        assert equal(alone.net, net)
    assert committee.log_probs(toy.train_data().x).shape == (12, ensemble.gives.samples, 3)
    assert not any(equal(committee.nets[i], committee.nets[j]) for i, j in [(0, 1), (0, 2), (1, 2)])


def test_members_are_trained_as_one_stack() -> None:
    calls = []

    def engine(fits):  # type: ignore[no-untyped-def]
        calls.append(len(fits))
        return Stacked(3).train_all(fits)

    stacked = drive(learner(members=3).fit(toy.train_data(), STREAMS), engine)  # type: ignore[arg-type]
    assert calls == [3]
    for one, other in zip(stacked.nets, fit(learner(members=3)).nets, strict=True):
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(weights(one), weights(other), strict=True))


def constant(net: nn.Module) -> None:
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)


@pytest.mark.parametrize("init", [None, constant])
def test_shared_init_shares_the_weights_and_nothing_else(init) -> None:
    recipe = toy.recipe(init=init)
    shared, own = learner(recipe, members=2, shared_init=True), learner(recipe, members=2)
    one, other = untrained(shared)
    assert equal(one, other)
    assert equal(one, train_start(recipe))
    assert not equal(*untrained(own))
    assert not equal(*fit(shared).nets)


def test_a_shared_order_shares_the_minibatches_and_nothing_else() -> None:
    def order_and_weights(ensemble: Ensemble) -> list[tuple[list[list[int]], nn.Module]]:
        asked: list[Fit] = []

        def engine(fits: Sequence[Fit]) -> list[Trained | Exception]:
            asked.extend(fits)
            return [*map(train, fits)]

        drive(ensemble.fit(toy.train_data(), STREAMS), engine)
        batches = [list(islice(orders(12, fit.recipe, fit.streams("order")), 4)) for fit in asked]
        return [
            ([batch.tolist() for batch in part], net) for part, net in zip(batches, untrained(ensemble), strict=True)
        ]

    (one, first), (other, second) = order_and_weights(learner(members=2, shared_order=True))
    assert one == other
    assert not equal(first, second)
    (one, _), (other, _) = order_and_weights(learner(members=2))
    assert one != other


def train_start(recipe: Recipe) -> nn.Module:
    """The weights that learner=plain starts from."""
    still = replace(recipe, max_checks=1, check_every=1, optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    return train(Fit(learner().build, still, toy.train_data(), STREAMS)).net


def test_the_same_init_in_every_round_holds_for_shared_weights_too() -> None:
    same = learner(toy.recipe(same_init=True), members=2, shared_init=True)
    assert equal(untrained(same, Streams(0, 1))[0], untrained(same, Streams(0, 5))[0])
    other = learner(toy.recipe(), members=2, shared_init=True)
    assert not equal(untrained(other, Streams(0, 1))[0], untrained(other, Streams(0, 5))[0])


def test_no_members_are_refused() -> None:
    with pytest.raises(UsageError, match=r"learner\.members is 0"):
        learner(members=0)
