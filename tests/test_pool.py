import pytest
import torch

from al_runner.errors import UsageError
from al_runner.loop import require_every_class
from al_runner.pool import Pool, balanced_ids, random_ids
from al_runner.rng import stream
from al_runner.types import DataSet


def data_set(n: int = 20) -> DataSet:
    """Train ids 5 .. n-1, so that a position within the pool is never an id."""
    ids = torch.arange(n)
    images = ids.to(torch.uint8)[:, None, None, None]
    return DataSet(images, ids % 3, ids[5:], ids[:2], ids[2:5], ("a", "b", "c"))


def start(data: DataSet, count: int, classes: int, seed: int = 0) -> torch.Tensor:
    return balanced_ids(data, count, classes, stream(seed, "initial"), stream(seed, "initial classes"))


def test_ids_are_rows_of_the_data_set_not_positions_in_the_pool() -> None:
    pool = Pool(data_set())
    pool.buy(torch.tensor([7, 19]))
    assert pool.x(pool.labelled).flatten().tolist() == [7, 19]
    assert pool.y(pool.labelled).tolist() == [1, 1]
    assert pool.labelled.tolist() == [7, 19]


def test_bought_ids_leave_the_pool() -> None:
    pool = Pool(data_set())
    pool.draw_candidates(100, stream(0, "candidates"))
    pool.buy(torch.tensor([7, 19]))
    assert set(pool.unlabelled.tolist()) == set(range(5, 20)) - {7, 19}
    assert set(pool.candidates.tolist()) == set(pool.unlabelled.tolist())
    with pytest.raises(ValueError, match="id 7 is not an unlabelled id"):
        pool.buy(torch.tensor([8, 7]))


def test_labels_are_hidden_until_bought() -> None:
    pool = Pool(data_set())
    pool.buy(torch.tensor([7]))
    with pytest.raises(ValueError, match="label of id 8"):
        pool.y(torch.tensor([7, 8]))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([6, 6]), "twice in one query"),
        (torch.tensor([0]), "id 0 is not"),  # validation
        (torch.tensor([3]), "id 3 is not"),  # test
        (torch.tensor([25]), "id 25 is not"),
        (torch.tensor([6.0]), "int64"),
        (torch.tensor([6], dtype=torch.int32), "int64"),
        (torch.tensor([[6]]), "one dimension"),
    ],
)
def test_only_distinct_unlabelled_ids_can_be_bought(ids: torch.Tensor, message: str) -> None:
    pool = Pool(data_set())
    with pytest.raises(ValueError, match=message):
        pool.buy(ids)
    assert len(pool.labelled) == 0


def test_candidates_are_a_seeded_random_subset_without_repeats() -> None:
    pool = Pool(data_set())
    pool.buy(torch.tensor([7, 19]))
    pool.draw_candidates(6, stream(0, "candidates", 1))
    first = pool.candidates.tolist()
    assert len(set(first)) == 6
    assert set(first) <= set(pool.unlabelled.tolist())
    pool.draw_candidates(6, stream(0, "candidates", 1))
    assert pool.candidates.tolist() == first
    pool.draw_candidates(6, stream(0, "candidates", 2))
    assert pool.candidates.tolist() != first
    pool.draw_candidates(2**62, stream(0, "candidates", 1))
    assert set(pool.candidates.tolist()) == set(pool.unlabelled.tolist())


def test_a_balanced_start_has_every_class_as_often() -> None:
    data = data_set()
    for count, expected in ((6, [2, 2, 2]), (7, [2, 2, 3]), (8, [2, 3, 3])):
        ids = start(data, count, 3)
        assert torch.bincount(data.labels[ids]).sort().values.tolist() == expected
        assert len(set(ids.tolist())) == count
        assert bool(torch.isin(ids, data.train).all())
    assert not torch.equal(*(start(data, 6, 3, seed) for seed in (0, 1)))


def test_where_a_balanced_start_does_not_divide_the_seed_draws_the_classes() -> None:
    """One image over: each of the three classes gets it in a third of the seeds, within 4 standard deviations."""
    data, more = data_set(), torch.zeros(3)
    for seed in range(600):
        counts = torch.bincount(data.labels[start(data, 4, 3, seed)], minlength=3)
        assert counts.sort().values.tolist() == [1, 1, 2]
        more += counts == 2
    assert float((more / 600 - 1 / 3).abs().max()) < 0.077
    fewer = torch.stack([torch.bincount(data.labels[start(data, 2, 3, seed)], minlength=3) for seed in range(20)])
    assert bool((fewer.sum(0) > 0).all())  # fewer images than classes: not the first ones in every seed


def test_where_a_balanced_start_divides_it_is_what_it_always_was() -> None:
    """The first images of every class in one random order of all, whatever draws the classes."""
    data = data_set()
    order = data.train[torch.randperm(len(data.train), generator=stream(5, "initial"))]
    expected = torch.cat([order[data.labels[order] == label][:2] for label in range(3)])
    for other in range(3):
        ids = balanced_ids(data, 6, 3, stream(5, "initial"), stream(other, "initial classes"))
        assert torch.equal(ids, expected)


def test_a_class_that_has_no_more_images_gives_none() -> None:
    """Classes of 5, 5 and 5 training images, two of which lose all but one."""
    data = data_set()
    kept = torch.cat([data.train[data.labels[data.train] == 0], torch.tensor([7, 8])])
    small = DataSet(data.images, data.labels, kept, data.val, data.test, data.classes)
    require_every_class(small, 4, 3)
    for seed in range(20):
        assert torch.bincount(data.labels[start(small, 4, 3, seed)]).tolist() == [2, 1, 1]
    with pytest.raises(UsageError, match=r"wants 2 images of 2 classes, but 1 classes have so many; lower budget"):
        require_every_class(small, 5, 3)


def test_a_balanced_start_may_be_of_the_first_classes_alone() -> None:
    data = data_set()
    counts = torch.bincount(data.labels[start(data, 7, 2)], minlength=3).tolist()
    assert (sorted(counts[:2]), counts[2]) == ([3, 4], 0)
    require_every_class(data, 10, 2)
    with pytest.raises(UsageError, match=r"budget\.known is 4, but the data set has 3 classes"):
        require_every_class(data, 10, 4)


def test_sets_are_distinct_candidates_of_one_class() -> None:
    """Classes of 5, 4 and 4 candidates: where 5 are wanted one class is left, and every class is as likely for 4."""
    pool, labels = Pool(data_set()), data_set().labels
    pool.buy(torch.tensor([6, 19]))
    assert torch.equal(pool.sets, pool.candidates[:, None])
    pool.draw_sets(3000, 4, stream(0, "candidates"))
    assert pool.sets.shape == (3000, 4)
    assert all(len(ids.unique()) == 4 for ids in pool.sets[:50])
    assert bool(torch.isin(pool.sets, pool.unlabelled).all())
    of_class = labels[pool.sets]
    assert bool((of_class == of_class[:, :1]).all())
    shares = torch.bincount(of_class[:, 0]).double() / 3000
    assert float((shares - 1 / 3).abs().max()) < 0.035  # 4 standard deviations
    assert torch.equal(pool.candidates, pool.sets.unique())
    pool.draw_candidates(100, stream(0, "candidates"))
    assert torch.equal(pool.sets, pool.candidates[:, None])
    pool.draw_sets(9, 5, stream(0, "candidates"))
    assert set(labels[pool.sets].flatten().tolist()) == {2}
    pool.buy(pool.sets[0])
    assert torch.equal(pool.sets, pool.unlabelled[:, None])
    with pytest.raises(UsageError, match=r"no class has 5 unlabelled images left.*budget\.max_labelled"):
        pool.draw_sets(9, 5, stream(0, "candidates"))


def test_the_best_sets_by_their_mean_score() -> None:
    pool = Pool(data_set())
    pool.draw_candidates(6, stream(0, "candidates"))
    scores = torch.tensor([0.0, 3.0, 1.0, 3.0, 2.0, 1.0])
    assert torch.equal(pool.over_sets(scores), scores)
    order = [1, 3, 4, 2, 5, 0]  # ties fall to the earlier
    assert torch.equal(pool.best(scores, 6), pool.candidates[order])
    assert torch.equal(pool.best(scores, 4), pool.candidates[order[:4]])
    pool.draw_candidates(100, stream(0, "candidates"))
    pool.draw_sets(7, 3, stream(0, "sets"))
    means = torch.stack([(ids.double() ** 2).mean() for ids in pool.sets])
    assert torch.allclose(pool.over_sets(pool.candidates.double() ** 2), means)
    assert torch.equal(pool.best(means, 3), pool.sets[int(means.argmax())])


def test_a_class_without_examples_is_named() -> None:
    data = data_set()
    missing = DataSet(data.images, data.labels.clamp(max=1), data.train, data.val, data.test, data.classes)
    require_every_class(missing, 2, 3)
    with pytest.raises(UsageError, match=r"1 images of class 'c', but the training set has 0.*balanced=false"):
        require_every_class(missing, 3, 3)


def test_random_ids_come_from_the_candidates() -> None:
    pool = Pool(data_set())
    pool.draw_candidates(5, stream(0, "candidates"))
    ids = random_ids(pool, 5, stream(0, "query"))
    assert sorted(ids.tolist()) == sorted(pool.candidates.tolist())
