from dataclasses import replace
from functools import partial

import pytest
import torch
import toy
from torch import nn
from torch.nn.functional import nll_loss

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import UsageError
from al_runner.gather import gather
from al_runner.learners.dropout import Dropout
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.plain import Plain
from al_runner.learners.tuned import Tuned
from al_runner.models.inputs import net_builder
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.training import Fit, Trained, trained

BUILD = net_builder(toy.data_set(), toy.model)
DECAYS = (0.0, 0.1, 3.0)
OF = [Plain, partial(Dropout, samples=4), partial(Ensemble, members=2)]


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("seed", range(3))
def test_the_fit_of_lowest_validation_loss_is_kept(of, seed: int) -> None:
    """Against every fit made alone, with weight decay as in Adam."""
    losses, predictions = [], []
    for decay in DECAYS:
        recipe = toy.recipe()
        recipe = replace(recipe, optimizer=partial(torch.optim.Adam, lr=0.01, weight_decay=decay))
        fitted = drive(of(build=BUILD, recipe=recipe).fit(toy.train_data(), Streams(seed, 1)))
        p = fitted.log_probs(toy.train_data().val_x).double().exp().mean(1)
        losses.append(float(nll_loss(p.log(), toy.train_data().val_y)))
        predictions.append(fitted.log_probs(toy.train_data().x))
    best = losses.index(min(losses))
    tuned = Tuned(BUILD, toy.recipe(), of, DECAYS)
    fitted = drive(tuned.fit(toy.train_data(), Streams(seed, 1)))
    assert torch.equal(fitted.log_probs(toy.train_data().x), predictions[best])
    assert tuned.gives.samples == predictions[0].shape[1]
    assert max(losses) > min(losses)


@pytest.mark.parametrize(("of", "fits"), [(OF[0], 3), (OF[1], 3), (OF[2], 6)])
def test_all_fits_are_asked_for_at_once(of, fits: int) -> None:
    asked = []

    def engine(fits):  # type: ignore[no-untyped-def]
        asked.append(len(fits))
        return train_all(fits)

    drive(Tuned(BUILD, toy.recipe(), of, DECAYS).fit(toy.train_data(), Streams(0, 1)), engine)
    assert asked == [fits]


class Continuing:
    continues, gives = True, Gives()

    def __init__(self, build: object, recipe: object):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_decays": []}, r"learner\.weight_decays is \[\]"),
        ({"weight_decays": [0.1, -1]}, r"learner\.weight_decays is \[0\.1, -1\]"),
        ({"recipe": replace(toy.recipe(), optimizer=torch.optim.Rprop)}, "has no weight decay"),
        ({"of": Continuing}, "continues from its last fit"),
    ],
)
def test_what_can_not_be_tuned_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Tuned(**{"build": BUILD, "recipe": toy.recipe(), "of": Plain, **options})  # type: ignore[arg-type]


def fit(seed: int) -> Fit:
    return Fit(BUILD, toy.recipe(), toy.train_data(), Streams(seed, 0))


async def asks(*counts: int) -> list[int]:
    """Asks for these numbers of fits, one question after the other; returns the seeds in the answers."""
    seen = []
    for count in counts:
        seen += [result.steps for result in await trained([fit(len(seen) + i) for i in range(count)])]
    return seen


def test_gathered_coroutines_get_their_own_answers() -> None:
    asked = []

    def engine(fits):  # type: ignore[no-untyped-def]
        asked.append([fit.streams.seed for fit in fits])
        return [Trained(nn.Identity(), fit.streams.seed, 0.0) for fit in fits]

    async def job() -> list[list[int]]:
        return await gather([asks(2, 1), asks(), asks(1), asks(1, 0, 2)])

    assert drive(job(), engine) == [[0, 1, 2], [], [0], [0, 1, 2]]
    assert asked == [[0, 1, 0, 0], [2], [1, 2]]


def test_gather_raises_the_first_failure_and_closes_the_others() -> None:
    closed = []

    async def watched(name: str) -> None:
        try:
            await trained([fit(0)])
        finally:
            closed.append(name)

    async def job() -> list[None]:
        return await gather([watched("a"), watched("b")])

    def engine(fits):  # type: ignore[no-untyped-def]
        return [Trained(nn.Identity(), 0, 0.0), ArithmeticError("lost")]

    with pytest.raises(ArithmeticError, match="lost"):
        drive(job(), engine)
    assert closed == ["a", "b"]
