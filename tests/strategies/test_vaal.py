"""VAAL: what its discriminator learns to tell, and what it is trained on."""

from functools import partial

import configs
import pytest
import torch
from hydra.utils import instantiate
from made_fits import Watching

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import UsageError
from al_runner.generative.vaal import BuildPlayers
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.choice import Choice
from al_runner.strategies.vaal import Vaal, logits
from al_runner.training import Asking, Fit, Recipe
from al_runner.types import DataSet


class Unseen:
    """A fit of the run's net, which fails if anything of it is looked at."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} of the run's fit was looked at")


FITTED = Unseen()


def strategy(divergence_weight: float = 4096, steps: int = 2) -> Vaal:
    recipe = Recipe(
        partial(torch.optim.Adam, lr=5e-4), batch_size=64, minibatches="balanced", check_passes=60, max_checks=1
    )
    return Vaal(recipe, latent=4, maps=4, units=32, steps=steps, divergence_weight=divergence_weight)


def dark_and_bright(dtype: torch.dtype = torch.uint8) -> DataSet:
    """200 dark images, then 200 bright ones; the first 20 dark ones are labelled."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (400, 1, 6, 6), generator=rng)
    images[200:] += 180
    ids = torch.arange(400)
    return DataSet(images.to(dtype), (ids >= 200).long(), ids, ids[:1], ids[:1], ("dark", "bright"))


def bought(data: DataSet) -> Pool:
    pool = Pool(data)
    ids = torch.arange(20)
    pool.buy(ids, data.labels[ids])
    return pool


def asked(asking: Asking[Choice]) -> tuple[Choice, Fit]:
    """The query's answer, and the one fit that it asks for."""
    watching = Watching()
    choice = drive(asking, watching)
    (fit,) = watching.fits
    return choice, fit


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_it_buys_what_is_unlike_the_labelled_images(dtype: torch.dtype) -> None:
    """Half of a random query would be bright. The published weight of the divergence leaves little in the codes."""
    pool = bought(dark_and_bright(dtype))
    choice, _ = asked(strategy(divergence_weight=0.01).query(FITTED, pool, 30, Streams(0, 1)))
    assert float((choice.chosen >= 200).float().mean()) > 0.8
    facts = choice.facts
    assert facts["chosen_look_labelled"] < facts["candidates_look_labelled"] < facts["labelled_look_labelled"]


def test_it_is_trained_on_all_images_and_chooses_among_the_candidates() -> None:
    pool = bought(dark_and_bright())
    pool.draw_candidates(50, torch.Generator().manual_seed(0))
    choice, fit = asked(strategy().query(FITTED, pool, 10, Streams(0, 1)))
    assert len(fit.data.y) == 400 and int(fit.data.y.sum()) == 20
    assert torch.equal(fit.data.x[:20], pool.x(pool.labelled))
    assert bool(torch.isin(choice.chosen, pool.candidates).all())


def test_images_of_no_class_are_neither_labelled_nor_unlabelled() -> None:
    data = dark_and_bright()
    pool = Pool(data)
    pool.buy(torch.arange(20), torch.tensor([0] * 15 + [-3] * 5))
    _, fit = asked(strategy().query(FITTED, pool, 10, Streams(0, 1)))
    assert len(fit.data.y) == 395 and int(fit.data.y.sum()) == 15


def test_the_least_likely_to_be_labelled_come_first() -> None:
    pool = bought(dark_and_bright())
    chosen = strategy()
    players = drive(chosen.players(pool, Streams(0, 1)), train_all)
    choice, _ = asked(chosen.query(FITTED, pool, 25, Streams(0, 1)))
    scores = logits(players, pool.x(pool.candidates_by_id))
    assert choice.chosen.tolist() == pool.candidates_by_id[scores.argsort(stable=True)[:25]].tolist()


def test_without_labelled_images_it_says_so() -> None:
    with pytest.raises(UsageError, match="vaal looks for what is unlike the labelled images, and there are none"):
        drive(strategy().called("vaal").query(FITTED, Pool(dark_and_bright()), 5, Streams(0, 1)), train_all)


def test_every_step_has_two_images() -> None:
    with pytest.raises(UsageError, match=r"set strategy\.recipe\.batch_size=66 or more"):
        strategy(steps=33)


def test_a_net_that_computes_nan_is_told() -> None:
    players = BuildPlayers((1, 6, 6), 3, 4, 5, 0.0, 255.0)().eval()
    players.discriminator[0].weight.data.fill_(float("nan"))
    with pytest.raises(ArithmeticError, match="the discriminator's output is not finite"):
        logits(players, torch.zeros(2, 1, 6, 6, dtype=torch.uint8))


def test_the_full_size_has_the_published_code_s_steps() -> None:
    """39,062 steps of two minibatches with 128 images of each kind, for 50,000 images."""
    full: Vaal = instantiate(configs.composed("strategy=vaal_full").strategy)
    seen = full.recipe.steps_per_check(50_000) * full.recipe.max_checks * full.recipe.batch_size
    assert seen / (39_062 * 2 * 2 * 128) == pytest.approx(1, abs=0.01)
    assert (full.maps, full.latent, full.units, full.steps) == (128, 32, 512, 2)


def test_a_round_is_the_same_again() -> None:
    one, other = (asked(strategy().query(FITTED, bought(dark_and_bright()), 5, Streams(3, 2)))[0] for _ in range(2))
    assert one.chosen.tolist() == other.chosen.tolist() and one.facts == other.facts
