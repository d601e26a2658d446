"""An experiment that says nothing is refused, whatever the images came from."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import toy
import yaml
from dataset_files import dataset_settings

from al_runner.data.arrays import Arrays
from al_runner.data.class_split import ClassSplit, EqualTestSplit
from al_runner.data.discovery import class_discovery
from al_runner.data.long_tail import long_tailed
from al_runner.data.spoil import label_noise, outliers
from al_runner.data.usable import usable
from al_runner.errors import UsageError
from al_runner.job.build import loaded
from al_runner.labels import UNKNOWN
from al_runner.types import DataSet


def test_a_usual_data_set_passes_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    data = toy.data_set()
    assert usable(data) is data
    assert caplog.messages == []


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c")])
def test_one_class_alone_is_refused(names: tuple[str, ...]) -> None:
    data = replace(toy.data_set(), classes=names)
    with pytest.raises(
        UsageError, match=r"the 80 training images are all of class 'a': .*; add images of another class"
    ):
        usable(replace(data, labels=torch.zeros_like(data.labels)))


def test_one_class_in_training_alone_is_refused_too() -> None:
    data = toy.data_set()
    labels = data.labels.clone()
    labels[data.train] = 1
    with pytest.raises(UsageError, match=r"are all of class 'b'"):
        usable(replace(data, labels=labels))


def test_class_discovery_of_one_class_is_refused() -> None:
    with pytest.raises(UsageError, match="there is nothing to tell apart"):
        usable(class_discovery(toy.data_set(), known=1, novel=0))


@pytest.mark.parametrize("value", [0, 255, 7])
def test_equal_images_are_refused(value: int) -> None:
    data = toy.data_set()
    equal = data.images.clone()
    equal[data.train] = value
    with pytest.raises(UsageError, match=r"the 80 training images are all equal; .* set dataset\.ground=black"):
        usable(replace(data, images=equal))
    equal[data.train[-1], 0, 0, 0] += 1  # one pixel of one image is enough
    assert usable(replace(data, images=equal))


def test_classes_without_a_training_image_are_named(caplog: pytest.LogCaptureFixture) -> None:
    data = toy.data_set()
    labels = data.labels.clone()
    labels[data.train[labels[data.train] == 2]] = 0
    usable(replace(data, labels=labels))
    assert caplog.messages == ["no training image is of class 'c', so a net can't learn it"]


def test_every_run_is_held_to_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    settings = {**dataset_settings("npz"), "path": str(tmp_path / "a.npz")}
    for labels, message in ((np.zeros(40, int), "all of class '0'"), (np.arange(40) % 4, "all equal")):
        shown = images if message != "all equal" else np.zeros_like(images)
        np.savez(
            tmp_path / "a.npz",
            train_images=shown[:30],
            train_labels=labels[:30],
            test_images=shown[30:],
            test_labels=labels[30:],
        )
        with pytest.raises(UsageError, match=message):
            loaded(
                yaml.safe_dump(settings | {"split": {**settings["split"], "seed": len(message)}}),
                "{}",
                "{}",
                str(tmp_path),
                torch.device("cpu"),
            )


@pytest.mark.parametrize("spoil", [label_noise, outliers, long_tailed, class_discovery])
def test_a_pool_that_reads_labels_needs_them_all(spoil: Callable[..., DataSet]) -> None:
    """Otherwise an image that nobody has labelled would get a class here, and a person would never be asked for it."""
    data = toy.data_set()
    labels = data.labels.clone()
    labels[data.train[:3]] = UNKNOWN
    with pytest.raises(
        UsageError,
        match=rf"^pool={spoil.__name__} needs a label for every image, but 3 of 80 have none",
    ):
        spoil(replace(data, labels=labels), 2 if spoil in (long_tailed, class_discovery) else 0.5)


@pytest.mark.parametrize("split", [ClassSplit(classes=[0, 1], val=4, test=4), EqualTestSplit(per_class=2, val=4)])
def test_so_does_a_split_by_class(split: ClassSplit | EqualTestSplit) -> None:
    images, labels = np.zeros((40, 2, 2), dtype=np.uint8), np.arange(40) % 3
    labels[5] = UNKNOWN
    arrays = Arrays(images[:30], labels[:30], images[30:], labels[30:], np.array(list("abc")))
    with pytest.raises(UsageError, match=r"^dataset.split.\w+ needs a label for every image, but 1 of [34]0 have none"):
        split.apply(arrays)
