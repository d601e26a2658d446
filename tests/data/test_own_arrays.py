"""Arrays of a data set of one's own are checked like those of a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Command

from al_runner.data.arrays import Arrays
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 12, 12)).astype(np.uint8)
LABELS = np.arange(60) % 2


def split(images: Any = IMAGES, labels: Any = LABELS) -> DataSet:
    return Split().apply(Arrays(images, labels, IMAGES[:0], LABELS[:0], np.array(["a", "b"])))


@pytest.mark.parametrize("labels", [LABELS.astype(np.int32), LABELS.astype(np.uint8), LABELS.tolist()])
def test_labels_of_every_whole_type_are_int64(labels: object) -> None:
    data = split(labels=labels)
    assert data.labels.tolist() == LABELS.tolist()
    assert data.labels.dtype == split().labels.dtype


def test_a_column_of_labels_is_taken_as_in_a_file() -> None:
    assert split(labels=LABELS[:, None]).labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("given", [(IMAGES, LABELS), {"train_images": IMAGES}])
def test_a_split_takes_arrays_by_name_only(given: Any) -> None:
    with pytest.raises(UsageError, match=r"split\.apply got (tuple|dict); give Arrays\(train_images, train_labels"):
        Split().apply(given)


def test_floats_and_unlabelled_images_are_taken_as_they_are() -> None:
    floats = IMAGES / 255
    assert np.allclose(split(floats).images[:, 0], floats)
    some = np.where(np.arange(60) < 40, LABELS, -1)
    part = split(labels=some)
    assert part.given.tolist() == [id_ for id_ in part.train.tolist() if id_ < 40]
    assert len(split().given) == 0  # with labels for all there is nothing beforehand: all are still to be bought
    vectors = np.random.default_rng(1).normal(size=(60, 1, 1, 7))
    assert split(vectors).image_shape == (7, 1, 1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0]}, r"train_images is empty"),
        ({"test_images": IMAGES[:, :6, :6]}, r"train and test images differ in size"),
        ({"test_images": IMAGES[..., None]}, r"train and test images differ in size"),
        ({"test_images": IMAGES / 255}, r"train images are uint8, test images float32; give all one type"),
        ({"val_images": IMAGES / 255, "val_labels": LABELS}, r"train images are uint8, val images float32"),
        ({"val_labels": LABELS}, r"val_images is None; give an array or a list \(empty, if there is no"),
        ({"classes": None}, r"classes is None; give an array or a list"),
        ({"classes": 2}, r"classes is int; give an array or a list"),
        ({"classes": "ab"}, r"classes is str; give an array or a list"),
        ({"classes": {"a", "b"}}, r"classes is set; give an array or a list"),
        ({"classes": {0: "a", 1: "b"}}, r"classes is dict; give an array or a list"),
        ({"classes": ["a", "a"]}, r"'a' is twice in classes; give every class another name"),
        (
            {"classes": np.array([["a"], ["b"]])},
            r"classes has shape \[2, 1\]; give a list of names, one for",
        ),
        ({"files": np.array(["1.png"])}, r"files has shape \[1\], but there are 120 images"),
    ],
)
def test_parts_and_files_must_fit_the_training_images(parts: dict[str, Any], message: str) -> None:
    whole = Arrays(IMAGES, LABELS, IMAGES, LABELS, np.array(["a", "b"]))
    assert len(Split().apply(whole).images) == 120
    with pytest.raises(UsageError, match=message):
        Split().apply(whole._replace(**parts))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS + 1, r"train_labels are 1 \.\. 2; they must be 0 \.\. 1, one for each of the 2 classes, or -1"),
        (IMAGES, LABELS - 3, r"train_labels are -3 \.\. -2"),
        (IMAGES, LABELS * 1.0, r"train_labels is float64 \(60,\); it must be 60 integers; write labels\.astype"),
        (
            IMAGES,
            np.array(["a", "b"])[LABELS],
            r"it must be 60 integers; for words, classes, labels = np\.unique",
        ),
        ([*IMAGES[:59], IMAGES[0, :6]], LABELS, r"train_images is a list whose parts differ in size; make them equal"),
        ((image for image in IMAGES), LABELS, r"train_images is generator; give an array or a list"),
        (IMAGES, LABELS[:50], r"train_labels is int64 \(50,\); it must be 60 integers"),
        (
            np.stack([IMAGES] * 3, 1),
            LABELS,
            r"\(60, 3, 12, 12\), so its channels seem to be first; give \[N, H, W, C\]",
        ),
        (
            np.where(IMAGES[4, 5, 6] == IMAGES, np.nan, IMAGES),
            LABELS,
            "train_images has NaN or an infinite value in row",
        ),
        (IMAGES.astype(np.int16), LABELS, r"train_images is int16 .*write images\.round\(\)\.astype\('uint8'\)"),
        (IMAGES.reshape(60, -1), LABELS, r"train_images is uint8 \(60, 144\)"),
    ],
)
def test_other_arrays_are_refused(images: object, labels: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split(images, labels)


def test_what_is_no_data_set_is_refused(al_run: Command, tmp_path: Path) -> None:
    code, output = al_run("dataset=digits", "dataset._target_=builtins.dict", f"results={tmp_path}")
    assert code == 1
    assert "builtins.dict gave dict in place of a data set; return split.apply(Arrays(...))" in output
