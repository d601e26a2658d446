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
    for count, expected in ((6, [2, 2, 2]), (7, [3, 2, 2])):
        ids = balanced_ids(data, count, stream(0, "initial"))
        assert torch.bincount(data.labels[ids]).tolist() == expected
        assert len(set(ids.tolist())) == count
        assert bool(torch.isin(ids, data.train).all())
    assert not torch.equal(balanced_ids(data, 6, stream(0, "initial")), balanced_ids(data, 6, stream(1, "initial")))


def test_a_class_without_examples_is_named() -> None:
    data = data_set()
    missing = DataSet(data.images, data.labels.clamp(max=1), data.train, data.val, data.test, data.classes)
    require_every_class(missing, 2)
    with pytest.raises(UsageError, match=r"1 images of class 'c', but the training set has 0.*balanced=false"):
        require_every_class(missing, 3)


def test_random_ids_come_from_the_candidates() -> None:
    pool = Pool(data_set())
    pool.draw_candidates(5, stream(0, "candidates"))
    ids = random_ids(pool, 5, stream(0, "query"))
    assert sorted(ids.tolist()) == sorted(pool.candidates.tolist())
