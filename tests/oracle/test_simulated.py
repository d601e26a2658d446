from dataclasses import replace

import pytest
import torch
import toy

from al_runner.errors import UsageError
from al_runner.oracle.simulated import Simulated
from al_runner.rng import stream
from al_runner.types import DataSet


def test_it_gives_the_labels_of_the_data_set() -> None:
    assert answer(Simulated(toy.offset_data()), [7, 5, 12]) == [1, 2, 0]


def test_images_of_classes_that_are_left_out_need_no_label() -> None:
    """They are in no part of the data set. The same image without a label in one part is refused."""
    data = toy.offset_data()
    other = data.train[-1:]
    labels = data.labels.index_fill(0, other, -1)
    left_out = replace(data, labels=labels, train=data.train[:-1])
    assert answer(Simulated(left_out), data.train[:3].tolist()) == data.labels[data.train[:3]].tolist()
    for part in ("train", "val", "test"):
        ids = torch.cat([getattr(left_out, part), other])
        with pytest.raises(UsageError, match="1 images have no label"):
            Simulated(replace(left_out, **{part: ids}))


def answer(oracle: Simulated, ids: list[int]) -> list[int]:
    """The coroutine ends at once and waits for nothing."""
    with pytest.raises(StopIteration) as end:
        oracle.label(torch.tensor(ids)).send(None)
    labels: list[int] = end.value.value.tolist()
    return labels


def start(data: DataSet, count: int, classes: int, seed: int = 0) -> torch.Tensor:
    return Simulated(data).balanced_ids(count, classes, stream(seed, "initial"), stream(seed, "initial classes"))


def test_a_balanced_start_has_every_class_as_often() -> None:
    data = toy.offset_data()
    for count, expected in ((6, [2, 2, 2]), (7, [2, 2, 3]), (8, [2, 3, 3])):
        ids = start(data, count, 3)
        assert torch.bincount(data.labels[ids]).sort().values.tolist() == expected
        assert len(set(ids.tolist())) == count
        assert bool(torch.isin(ids, data.train).all())
    assert not torch.equal(*(start(data, 6, 3, seed) for seed in (0, 1)))


def test_if_a_balanced_start_does_not_divide_the_seed_draws_the_classes() -> None:
    """One image is left over: each of three classes gets it in a third of the seeds, within 4 standard deviations."""
    data, more = toy.offset_data(), torch.zeros(3)
    for seed in range(600):
        counts = torch.bincount(data.labels[start(data, 4, 3, seed)], minlength=3)
        assert counts.sort().values.tolist() == [1, 1, 2]
        more += counts == 2
    assert float((more / 600 - 1 / 3).abs().max()) < 0.077
    fewer = torch.stack([torch.bincount(data.labels[start(data, 2, 3, seed)], minlength=3) for seed in range(20)])
    assert bool((fewer.sum(0) > 0).all())  # fewer images than classes: not the first ones in every seed


def test_a_balanced_start_that_divides_does_not_depend_on_the_class_stream() -> None:
    """It has the first images of every class in one random order of all; the class stream does not matter."""
    data = toy.offset_data()
    order = data.train[torch.randperm(len(data.train), generator=stream(5, "initial"))]
    expected = torch.cat([order[data.labels[order] == label][:2] for label in range(3)])
    for other in range(3):
        ids = Simulated(data).balanced_ids(6, 3, stream(5, "initial"), stream(other, "initial classes"))
        assert torch.equal(ids, expected)


def test_a_class_that_has_no_more_images_gives_none() -> None:
    """Three classes of 5 training images; two of them keep only one image."""
    data = toy.offset_data()
    kept = torch.cat([data.train[data.labels[data.train] == 0], torch.tensor([7, 8])])
    small = DataSet(data.images, data.labels, kept, data.val, data.test, data.classes)
    Simulated(small).require_every_class(4, 3)
    for seed in range(20):
        assert torch.bincount(data.labels[start(small, 4, 3, seed)]).tolist() == [2, 1, 1]
    with pytest.raises(UsageError, match=r"needs 2 images of 2 classes, but only 1 have as many; lower budget"):
        Simulated(small).require_every_class(5, 3)


def test_a_balanced_start_may_be_of_the_first_classes_alone() -> None:
    data = toy.offset_data()
    counts = torch.bincount(data.labels[start(data, 7, 2)], minlength=3).tolist()
    assert (sorted(counts[:2]), counts[2]) == ([3, 4], 0)
    Simulated(data).require_every_class(10, 2)
    with pytest.raises(UsageError, match=r"budget\.known is 4, but the data set has 3 classes"):
        Simulated(data).require_every_class(10, 4)


def test_sets_are_distinct_candidates_of_one_class() -> None:
    """Classes of 5, 4 and 4 candidates: one class has enough for sets of 5; all are equally likely for sets of 4."""
    data = toy.offset_data()
    pool, oracle = toy.bought(data, torch.tensor([6, 19])), Simulated(data)
    assert torch.equal(pool.sets, pool.candidates[:, None])
    sets = oracle.one_class_sets(pool.candidates, 3000, 4, stream(0, "candidates"))
    assert sets.shape == (3000, 4)
    assert all(len(ids.unique()) == 4 for ids in sets[:50])
    assert bool(torch.isin(sets, pool.unlabelled).all())
    of_class = data.labels[sets]
    assert bool((of_class == of_class[:, :1]).all())
    shares = torch.bincount(of_class[:, 0]).double() / 3000
    assert float((shares - 1 / 3).abs().max()) < 0.035  # 4 standard deviations
    sets = oracle.one_class_sets(pool.candidates, 9, 5, stream(0, "candidates"))
    assert set(data.labels[sets].flatten().tolist()) == {2}
    pool.buy(sets[0], data.labels[sets[0]])
    with pytest.raises(UsageError, match=r"no class has 5 unlabelled images left.*budget\.max_labelled"):
        oracle.one_class_sets(pool.candidates, 9, 5, stream(0, "candidates"))


def test_a_class_without_examples_is_named() -> None:
    data = toy.offset_data()
    missing = DataSet(data.images, data.labels.clamp(max=1), data.train, data.val, data.test, data.classes)
    Simulated(missing).require_every_class(2, 3)
    with pytest.raises(UsageError, match=r"1 images of class 'c', but the training set has 0.*initial_by=random"):
        Simulated(missing).require_every_class(3, 3)
