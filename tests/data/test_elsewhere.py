"""Images of another data set as test images."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import toy

from al_runner.data.elsewhere import elsewhere, framed
from al_runner.errors import UsageError
from al_runner.types import DataSet


def home(data_root: str) -> DataSet:
    assert data_root == "somewhere"
    return toy.data_set()


def other(data_root: str) -> DataSet:
    """A fourth of the images is in no part of the split."""
    data = toy.data_set(80)
    return replace(data, test=data.test[:0])


def test_training_and_validation_stay_and_the_test_images_are_all_of_the_other_s() -> None:
    trained, tested = home("somewhere"), other("")
    data = elsewhere("somewhere", home, other, 6)
    assert torch.equal(data.images[:160], trained.images) and torch.equal(data.labels[:160], trained.labels)
    assert torch.equal(data.train, trained.train) and torch.equal(data.val, trained.val)
    used = torch.cat([tested.train, tested.val]).sort().values
    assert data.test.tolist() == [*range(160, 160 + 60)]
    assert torch.equal(data.labels[data.test], tested.labels[used])
    assert torch.equal(data.images[data.test], tested.images[used])
    assert data.images.dtype == torch.uint8


def test_the_test_images_have_the_names_of_their_own_files() -> None:
    """Ids are places in `files`: al-run --export asks for the file of every test image."""
    named = replace(home("somewhere"), files=tuple(f"home/{id_}" for id_ in range(160)))
    theirs = replace(other(""), files=tuple(f"other/{id_}" for id_ in range(80)))
    used = torch.cat([theirs.train, theirs.val]).sort().values.tolist()
    both = elsewhere("somewhere", lambda data_root: named, lambda data_root: theirs, 6)
    assert both.files == (*named.files, *(f"other/{id_}" for id_ in used))
    assert elsewhere("somewhere", lambda data_root: named, other, 6).files == (*named.files, *[""] * 60)
    assert elsewhere("somewhere", home, lambda data_root: theirs, 6).files[160:] == both.files[160:]
    assert elsewhere("somewhere", home, other, 6).files == ()


def test_images_are_put_into_the_middle_of_black_ones() -> None:
    images = torch.full((2, 1, 4, 4), 7, dtype=torch.uint8)
    made = framed(images, 2, (5, 6))
    wanted = torch.zeros(2, 1, 5, 6, dtype=torch.uint8)
    wanted[:, :, 1:3, 2:4] = 7
    assert torch.equal(made, wanted)
    with pytest.raises(UsageError, match=r"dataset\.pixels is 6, more than a side.*at most 5"):
        framed(images, 6, (5, 6))


def test_other_classes_are_refused() -> None:
    def two(**options: Any) -> DataSet:
        return replace(toy.data_set(), classes=("a", "b"))

    with pytest.raises(UsageError, match=r"dataset\.other has 2 classes and 1 channels, dataset\.home 3 and 1"):
        elsewhere("somewhere", home, two, 6)
