"""pool=long_tailed: sizes by the formula, absolute ids, a test set that does not change, one pool for a seed."""

from math import floor

import pytest
import torch
import toy

from al_runner.data.long_tail import class_sizes, long_tailed
from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.loop.experiment import Experiment
from al_runner.oracle.simulated import Simulated
from al_runner.strategies.random import Random
from al_runner.strategies.uncertainty import TopScore, margin
from al_runner.types import DataSet


def sizes_of(data: DataSet) -> list[int]:
    return torch.bincount(data.labels[data.train], minlength=len(data.classes)).tolist()


def test_cifar10_lt_has_its_published_sizes() -> None:
    """12,406 images for a ratio of 100, and the largest class 5,000 (Cao et al., 2019)."""
    sizes = class_sizes(torch.full((10,), 5000), torch.arange(10), 100)
    assert sizes.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert int(sizes.sum()) == 12406
    assert class_sizes(torch.full((10,), 5000), torch.arange(10), 1).tolist() == [5000] * 10


def test_a_size_that_is_whole_does_not_lose_an_image_to_rounding() -> None:
    """1024 ** -0.2 is 1/4, and 0.24999999999999997 as a float."""
    assert class_sizes(torch.full((6,), 5120), torch.arange(6), 1024).tolist() == [5120, 1280, 320, 80, 20, 5]


@pytest.mark.parametrize("ratio", [1, 2.5, 10, 50])
def test_sizes_are_the_formula_s_with_the_largest_n_that_fits(ratio: float) -> None:
    """Also if the classes differ: one image more in the largest class would be too many for some class."""
    images = [900, 250, 700, 80]
    sizes = class_sizes(torch.tensor(images), torch.arange(4), ratio)

    def formula(n: int) -> list[int]:
        return [floor(n * ratio ** (-i / 3) + 1e-9) for i in range(4)]

    fits = [n for n in range(1, 1000) if all(size <= there for size, there in zip(formula(n), images, strict=True))]
    assert sizes.tolist() == formula(max(fits))


def test_ids_stay_those_of_the_whole_data_set() -> None:
    clean = toy.data_set(1200)
    data = long_tailed(clean, 10, seed=3)
    assert torch.equal(data.images, clean.images) and torch.equal(data.labels, clean.labels)
    assert bool(torch.isin(data.train, clean.train).all()) and torch.equal(data.train, data.train.unique())
    for part in ("val", "test"):
        assert torch.equal(getattr(data, part), getattr(clean, part))
    expected = class_sizes(torch.bincount(clean.labels[clean.train]), torch.arange(3), 10)
    assert sizes_of(data) == expected.tolist()
    assert not torch.equal(data.train, torch.arange(len(data.train)))
    assert not torch.equal(data.train, clean.train[: len(data.train)])


def test_a_seed_draws_the_images_and_the_random_order() -> None:
    clean = toy.data_set(1200)
    assert torch.equal(long_tailed(clean, 10, seed=1).train, long_tailed(clean, 10, seed=1).train)
    assert not torch.equal(long_tailed(clean, 10, seed=1).train, long_tailed(clean, 10, seed=2).train)
    orders = {tuple(torch.tensor(sizes_of(long_tailed(clean, 10, "random", s))).argsort().tolist()) for s in range(9)}
    assert len(orders) > 2


def test_strategies_of_one_seed_share_the_pool_and_buy_from_it_by_absolute_ids() -> None:
    runs = []
    for strategy in (Random(), TopScore(margin)):
        base, data, memory = toy.experiment(strategy), long_tailed(toy.data_set(400), 5), toy.Memory()
        drive(Experiment(data, base.learner, strategy, base.budget, 0, Simulated(data)).run(memory))
        runs.append(memory)
        bought = torch.cat(memory.ids)
        assert bool(torch.isin(bought, data.train).all())
        assert {row["pool_images"] for row in memory.rows} == {len(data.train)}
    assert torch.equal(runs[0].ids[0], runs[1].ids[0])
    assert not torch.equal(torch.cat(runs[0].ids), torch.cat(runs[1].ids))


def test_images_that_have_labels_beforehand_are_of_the_pool() -> None:
    clean = toy.data_set(400)
    given = DataSet(**{**vars(clean), "given": clean.train[:50]})
    data = long_tailed(given, 20)
    assert 0 < len(data.given) < 50 and bool(torch.isin(data.given, data.train).all())


def test_what_does_not_go_is_named() -> None:
    clean = toy.data_set()
    with pytest.raises(UsageError, match=r"pool.ratio is 1000, so the smallest class has no image left; lower it"):
        long_tailed(clean, 1000)
    with pytest.raises(UsageError, match=r"pool\.ratio"):
        long_tailed(clean, 0.5)
    with pytest.raises(UsageError, match="needs two classes or more"):
        long_tailed(DataSet(**{**vars(clean), "labels": clean.labels * 0, "classes": ("a",)}), 2)
