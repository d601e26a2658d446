import numpy as np
import pytest
import torch

from al_runner.data.arrays import Arrays
from al_runner.data.class_split import ClassSplit
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


@pytest.mark.parametrize("classes", [[1], [1, 1], [1, 5], [-1, 2], []])
def test_classes_that_can_t_be_are_named(classes: list[int]) -> None:
    with pytest.raises(UsageError, match=r"dataset\.split\.classes is .*two or more different ones of 0 \.\. 4"):
        ClassSplit(classes=classes, val=10).apply(ARRAYS)
