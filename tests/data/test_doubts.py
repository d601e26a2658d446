"""What a data set's owner probably did not mean gets a line."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import toy
import yaml
from dataset_files import dataset_settings

from al_runner.data.doubts import doubts
from al_runner.job.build import loaded
from al_runner.labels import UNKNOWN


def test_a_usual_data_set_leaves_none() -> None:
    assert not [*doubts(toy.data_set())]


@pytest.mark.parametrize("names", [("cat", "Cat"), ("cat", "cat "), ("cat", "cat\u00a0"), ("caf\u00e9", "cafe\u0301")])
def test_names_that_look_alike_are_named(names: tuple[str, str]) -> None:
    (line,) = doubts(replace(toy.data_set(), classes=(*names, "dog")))
    assert line == (
        f"the classes {names[0]!a}, {names[1]!a} have nearly the same name; if they are one class, join them"
    )


@pytest.mark.parametrize("name", ["nan", "None", "N/A"])
def test_a_class_that_may_be_a_missing_label_is_named(name: str) -> None:
    (line,) = doubts(replace(toy.data_set(), classes=("a", "b", name)))
    assert line == f"a class is called {name!r}; if this stands for a missing label, leave its images out"


def test_numbers_of_rows_in_place_of_labels_are_noticed() -> None:
    data = toy.data_set()
    rows = torch.arange(len(data.labels))
    (line,) = doubts(replace(data, labels=rows, classes=tuple(map(str, rows.tolist()))))
    assert line.startswith("80 training images are of 80 classes, so most classes have one image")


@pytest.mark.parametrize(("part", "name"), [("test", "test"), ("val", "validation")])
def test_copies_in_two_parts_are_counted(part: str, name: str) -> None:
    data = toy.data_set()
    ids, images = getattr(data, part), data.images.clone()
    images[ids[:3]] = images[data.train[:3]]
    (line,) = doubts(replace(data, images=images))
    assert line == f"3 of {len(ids)} {name} images are also training images, pixel for pixel"


def test_an_image_with_two_labels_is_counted_and_one_without_a_label_is_not() -> None:
    data = toy.data_set()
    first, second = data.train[:2]
    images, labels = data.images.clone(), data.labels.clone()
    images[second] = images[first]
    labels[first], labels[second] = 0, 1
    assert [*doubts(replace(data, images=images, labels=labels))] == [
        "1 training images occur again with another label, pixel for pixel"
    ]
    labels[second] = UNKNOWN
    assert not [*doubts(replace(data, images=images, labels=labels))]


def test_a_run_says_them(tmp_path, caplog: pytest.LogCaptureFixture) -> None:  # type: ignore[no-untyped-def]
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    words = np.array(["cat", "Cat"])[np.arange(40) % 2]
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=words, test_images=images[:5], test_labels=words[:5])
    settings = {
        **dataset_settings("npz"),
        "path": str(tmp_path / "a.npz"),
        "split": {**dataset_settings("npz")["split"], "seed": 9},
    }
    loaded(yaml.safe_dump(settings), "{}", "{}", str(tmp_path), torch.device("cpu"))
    assert caplog.messages[0].startswith("the classes 'Cat', 'cat' have nearly the same name")
    assert any("of 5 test images are also training images" in line for line in caplog.messages)
