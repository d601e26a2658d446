from dataclasses import replace

import pytest
import torch
import toy

from al_runner.labels import OF_NO_CLASS
from al_runner.pool import Pool, random_ids, shuffled
from al_runner.rng import stream


def test_ids_are_rows_of_the_data_set_not_positions_in_the_pool() -> None:
    pool = toy.bought(toy.offset_data(), torch.tensor([7, 19]))
    assert pool.x(pool.labelled).flatten().tolist() == [7, 19]
    assert pool.y(pool.labelled).tolist() == [1, 1]
    assert pool.labelled.tolist() == [7, 19]


def test_bought_ids_leave_the_pool() -> None:
    pool = Pool(toy.offset_data())
    pool.draw_candidates(100, stream(0, "candidates"))
    pool.buy(torch.tensor([7, 19]), torch.tensor([1, 1]))
    assert set(pool.unlabelled.tolist()) == set(range(5, 20)) - {7, 19}
    assert set(pool.candidates.tolist()) == set(pool.unlabelled.tolist())
    with pytest.raises(ValueError, match="id 7 is not an unlabelled id"):
        pool.buy(torch.tensor([8, 7]), torch.tensor([2, 1]))


def test_bought_ids_stay_in_the_order_of_purchase_and_the_newest_purchase_is_known() -> None:
    pool = toy.bought(toy.offset_data(), torch.tensor([19, 7]))
    pool.buy(torch.tensor([12, 6, 15]), torch.tensor([0, 0, 0]))
    assert pool.labelled.tolist() == [19, 7, 12, 6, 15]
    assert pool.old == 2


def test_a_made_image_is_bought_once_only() -> None:
    pool = Pool(toy.offset_data())
    ids = pool.add(torch.zeros(2, 1, 1, 1, dtype=torch.uint8))
    pool.buy(ids[:1], torch.tensor([1]))
    with pytest.raises(ValueError, match="id 20 is not an unlabelled id"):
        pool.buy(ids, torch.tensor([1, 1]))
    assert pool.labelled.tolist() == [20]


def test_labels_are_hidden_until_bought() -> None:
    pool = toy.bought(toy.offset_data(), torch.tensor([7]))
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
    pool = Pool(toy.offset_data())
    with pytest.raises(ValueError, match=message):
        pool.buy(ids, torch.zeros_like(ids))
    assert len(pool.labelled) == 0


@pytest.mark.parametrize("labels", [[1], [1, -1], [1.0, 2.0], [[1, 2]]])
def test_the_oracle_gives_one_label_an_id(labels: list[object]) -> None:
    pool = Pool(toy.offset_data())
    with pytest.raises(ValueError, match="the oracle must give 2 int64 labels of 0 or more, but it gave"):
        pool.buy(torch.tensor([6, 7]), torch.tensor(labels))
    assert len(pool.labelled) == 0


def test_an_image_of_no_class_is_paid_for_and_never_trained_on_or_asked_for_again() -> None:
    pool = Pool(toy.offset_data())
    pool.buy(torch.tensor([6, 9, 7]), torch.tensor([2, OF_NO_CLASS, 1]))
    pool.buy(torch.tensor([12]), torch.tensor([OF_NO_CLASS]))
    assert pool.labelled.tolist() == pool.training.tolist() == [6, 7]
    assert pool.rejected.tolist() == [9, 12]
    assert pool.asked == 4
    assert not {6, 7, 9, 12} & {*pool.unlabelled.tolist(), *pool.candidates.tolist()}
    with pytest.raises(ValueError, match="the label of id 9 was read, but it is of no class"):
        pool.y(torch.tensor([6, 9]))
    with pytest.raises(ValueError, match="id 12 is not an unlabelled id"):
        pool.buy(torch.tensor([12]), torch.tensor([0]))
    later = pool.after(torch.tensor([8]), torch.tensor([OF_NO_CLASS]))
    assert (later.rejected.tolist(), pool.rejected.tolist()) == ([9, 12, 8], [9, 12])


def test_a_made_image_is_never_of_no_class() -> None:
    pool = Pool(toy.offset_data())
    ids = pool.add(torch.zeros(1, 1, 1, 1, dtype=torch.uint8))
    with pytest.raises(ValueError, match="the oracle must give 1 int64 labels"):
        pool.buy(ids, torch.tensor([OF_NO_CLASS]))


def test_a_bought_label_is_what_the_oracle_said() -> None:
    pool = Pool(toy.offset_data())
    pool.buy(torch.tensor([6, 9]), torch.tensor([2, 1]))  # the data set says 0 and 0
    assert pool.y(torch.tensor([9, 6])).tolist() == [1, 2]


def test_candidates_are_a_seeded_random_subset_without_repeats() -> None:
    pool = toy.bought(toy.offset_data(), torch.tensor([7, 19]))
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


def test_candidates_come_in_random_order_so_ties_do_not_favour_low_ids() -> None:
    pool = Pool(toy.offset_data())
    pool.draw_candidates(100, stream(0, "candidates"))
    assert pool.candidates.tolist() != pool.unlabelled.tolist()
    assert torch.equal(pool.candidates_by_id, pool.unlabelled)


def test_a_part_of_the_pool_has_neither_its_sets_nor_what_it_made_once() -> None:
    pool = Pool(toy.offset_data())
    pool.offer(torch.tensor([[8, 5], [7, 9]]))
    assert pool.once("ids", pool.unlabelled.tolist) == list(range(5, 20))
    part = pool.among(torch.tensor([9, 7, 8]))
    assert part.sets.tolist() == [[9], [7], [8]]
    assert part.once("ids", part.unlabelled.tolist) == [7, 8, 9]
    assert pool.once("ids", list) == list(range(5, 20))


def test_features_are_of_single_precision_whatever_the_file_has() -> None:
    data = toy.offset_data()
    stored = torch.arange(40, dtype=torch.float16).view(20, 2)
    features = Pool(replace(data, features=stored)).features(torch.tensor([7, 6]))
    assert features.dtype == Pool(data).features(torch.tensor([7])).dtype == torch.float32
    assert features.tolist() == [[14, 15], [12, 13]]


def test_sets_are_offered_until_the_next_candidates_or_purchase() -> None:
    pool = toy.bought(toy.offset_data(), torch.tensor([6, 19]))
    assert torch.equal(pool.sets, pool.candidates[:, None])
    sets = torch.tensor([[8, 5, 11], [7, 8, 10]])
    pool.offer(sets)
    assert torch.equal(pool.sets, sets)
    assert pool.candidates.tolist() == [5, 7, 8, 10, 11]
    pool.draw_candidates(100, stream(0, "candidates"))
    assert torch.equal(pool.sets, pool.candidates[:, None])
    pool.offer(sets)
    pool.buy(sets[0], torch.tensor([2, 2, 2]))
    assert torch.equal(pool.sets, pool.unlabelled[:, None])


def test_the_best_sets_by_their_mean_score() -> None:
    pool = Pool(toy.offset_data())
    pool.draw_candidates(6, stream(0, "candidates"))
    scores = torch.tensor([0.0, 3.0, 1.0, 3.0, 2.0, 1.0])
    assert torch.equal(pool.over_sets(scores), scores)
    order = [1, 3, 4, 2, 5, 0]  # ties fall to the earlier
    assert torch.equal(pool.best(scores, 6), pool.candidates[order])
    assert torch.equal(pool.best(scores, 4), pool.candidates[order[:4]])
    pool.draw_candidates(100, stream(0, "candidates"))
    pool.offer(torch.stack([shuffled(pool.candidates, stream(seed, "sets"))[:3] for seed in range(7)]))
    means = torch.stack([(ids.double() ** 2).mean() for ids in pool.sets])
    assert torch.allclose(pool.over_sets(pool.candidates.double() ** 2), means)
    assert torch.equal(pool.best(means, 3), pool.sets[int(means.argmax())])


def test_random_ids_come_from_the_candidates() -> None:
    pool = Pool(toy.offset_data())
    pool.draw_candidates(5, stream(0, "candidates"))
    ids = random_ids(pool, 5, stream(0, "query"))
    assert sorted(ids.tolist()) == sorted(pool.candidates.tolist())
    assert ids.tolist() != pool.candidates.tolist()  # those of the first query are not in random order yet
