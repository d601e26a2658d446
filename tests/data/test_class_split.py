import numpy as np
import pytest
import torch

from al_runner.data.arrays import Arrays, DataFile
from al_runner.data.class_split import ClassSplit, EqualTestSplit
from al_runner.data.split import Split
from al_runner.errors import UsageError

LABELS = np.arange(120) % 5
IMAGES = np.arange(120 * 4, dtype=np.uint32).astype(np.uint8).reshape(120, 2, 2)
ARRAYS = Arrays(IMAGES[:100], LABELS[:100], IMAGES[100:], LABELS[100:], np.array(list("abcde")))


@pytest.mark.parametrize("test", [None, 12])
def test_the_chosen_classes_alone_are_split_and_numbered_in_their_order(test: int | None) -> None:
    data = ClassSplit(classes=[4, 1], val=10, test=test).apply(ARRAYS)
    parts = (data.train, data.val, data.test)
    assert [len(part) for part in parts] == ([30, 10, 8] if test is None else [26, 10, 12])
    ids = torch.cat(parts)
    assert sorted(ids.tolist()) == [id_ for id_ in range(120) if LABELS[id_] in (1, 4)]
    assert data.labels[ids].tolist() == [{4: 0, 1: 1}[int(LABELS[id_])] for id_ in ids.tolist()]
    assert data.classes == ("e", "b")
    assert all(bool((part.diff() > 0).all()) for part in parts)


def test_ids_are_rows_of_all_images_and_the_others_have_no_label() -> None:
    data, whole = ClassSplit(classes=[2, 3], val=10).apply(ARRAYS), Split(val=10).apply(ARRAYS)
    assert torch.equal(data.images, whole.images)
    assert data.images.stride() == whole.images.stride()
    assert set(data.labels[torch.from_numpy(~np.isin(LABELS, (2, 3)))].tolist()) == {-1}


def test_all_classes_in_their_order_are_the_plain_split() -> None:
    data, whole = ClassSplit(classes=range(5), val=10).apply(ARRAYS), Split(val=10).apply(ARRAYS)
    for part in ("train", "val", "test", "labels"):
        assert torch.equal(getattr(data, part), getattr(whole, part))


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [
        *[(classes, r"two or more different ones of 0 \.\. 4") for classes in ([1], [1, 1], [1, 5])],
        *[(classes, "it must be") for classes in ([-1, 2], [])],
    ],
)
def test_classes_that_can_t_be_are_named(classes: list[int], wanted: str) -> None:
    with pytest.raises(UsageError, match=rf"dataset\.split\.classes is .*{wanted}"):
        ClassSplit(classes=classes, val=10).apply(ARRAYS)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_equal_test_set_has_as_many_of_every_class(seed: int) -> None:
    data = EqualTestSplit(per_class=7, val=15, seed=seed).apply(ARRAYS)
    assert torch.bincount(data.labels[data.test]).tolist() == [7] * 5
    assert torch.cat([data.train, data.val, data.test]).sort().values.tolist() == list(range(120))
    assert [len(part) for part in (data.train, data.val, data.test)] == [70, 15, 35]
    assert data.labels.tolist() == LABELS.tolist()
    again, other = (EqualTestSplit(per_class=7, val=15, seed=other).apply(ARRAYS) for other in (seed, seed + 2))
    assert torch.equal(again.test, data.test)
    assert not torch.equal(other.test, data.test)


@pytest.mark.parametrize(
    ("per_class", "wanted"), [(0, "; it must be 1 or more"), (24, ", but a class has 24 images; give 1 to 23")]
)
def test_an_equal_test_set_that_can_t_be_had_is_named(per_class: int, wanted: str) -> None:
    with pytest.raises(UsageError, match=rf"per_class is {per_class}{wanted}"):
        EqualTestSplit(per_class=per_class, val=5).apply(ARRAYS)


OWN = ARRAYS._replace(val_images=IMAGES[:10], val_labels=LABELS[:10])


def test_both_keep_validation_images_of_the_data_set_s_own() -> None:
    data = ClassSplit(classes=[4, 1]).apply(OWN)
    assert data.val.tolist() == [id_ for id_ in range(120, 130) if LABELS[id_ - 120] in (1, 4)]
    assert data.test.tolist() == ClassSplit(classes=[4, 1], val=10).apply(ARRAYS).test.tolist()
    equal = EqualTestSplit(per_class=7).apply(OWN)
    assert equal.val.tolist() == [*range(120, 130)]
    assert equal.test.tolist() == EqualTestSplit(per_class=7, val=15).apply(ARRAYS).test.tolist()
    merged = EqualTestSplit(per_class=7, val=15).apply(OWN)
    assert (len(merged.train), len(merged.val), len(merged.test)) == (80, 15, 35)


NAMED = OWN._replace(files=np.array([f"{row}.png" for row in range(130)]), source=DataFile("own.npz", "ab"))


@pytest.mark.parametrize("split", [ClassSplit(classes=[4, 1], val=10), EqualTestSplit(per_class=7), Split()])
def test_files_images_and_labels_are_those_of_an_id(split: Split) -> None:
    data, (images, labels) = split.apply(NAMED), NAMED.whole()
    assert data.files == tuple(f"{row}.png" for row in range(130))
    assert data.source == NAMED.source._asdict()
    assert np.array_equal(data.images[:, 0].numpy(), images)
    ids = torch.cat([data.train, data.val, data.test]).tolist()
    assert [data.classes[int(data.labels[id_])] for id_ in ids] == ["abcde"[labels[id_]] for id_ in ids]


def test_a_test_image_without_a_label_is_in_no_part() -> None:
    arrays = ARRAYS._replace(test_labels=np.where(np.arange(20) == 4, -1, LABELS[100:]))
    data = ClassSplit(classes=[1, 4], val=10).apply(arrays)
    assert data.labels[104] == -1
    assert 104 not in data.test.tolist() and 109 in data.test.tolist()


def test_an_equal_test_set_needs_the_labels_of_all_images() -> None:
    labels = LABELS[100:].copy()
    labels[3] = -1
    with pytest.raises(UsageError, match=r"dataset\.split\.per_class"):
        EqualTestSplit(per_class=7, val=5).apply(ARRAYS._replace(test_labels=labels))
