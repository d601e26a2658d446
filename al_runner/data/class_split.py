"""Splits by class: one keeps some classes only, one has a test set with the same number of images of every class."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from al_runner.data.arrays import Arrays
from al_runner.data.split import Split, channels_first
from al_runner.data.usable import require_labels
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, CountOrZero, Means
from al_runner.types import DataSet

Rows = NDArray[np.int64]


@options("dataset.split")
@dataclass(frozen=True)
class ClassSplit(Split):
    """A split that keeps the images of some classes only, such as two digits. `val` and `test` count these images.

    `classes` are numbers from 0 in the data set's order. Their labels become 0, 1, ... in the given order. An image of
    another class is in no part of the split and has the label UNKNOWN. An id is still a row of all images.
    """

    classes: Annotated[AtLeastOne[CountOrZero], Means("numbers of the classes that are kept, in their new order")] = (
        0,
        1,
    )

    def apply(self, arrays: Arrays) -> DataSet:
        chosen = [int(label) for label in self.classes]
        if len(set(chosen)) < max(2, len(chosen)) or not set(chosen) <= set(range(len(arrays.classes))):
            raise UsageError(
                f"dataset.split.classes is {list(self.classes)}; give two or more different ones of "
                f"0 .. {len(arrays.classes) - 1}"
            )
        numbers = np.full(len(arrays.classes), UNKNOWN, dtype=np.int64)
        numbers[chosen] = np.arange(len(chosen))
        require_labels(torch.from_numpy(arrays.train_labels), "dataset.split.classes")
        images, labels = arrays.whole()
        labels = numbers[labels]
        train, test, val = (rows[labels[rows] != UNKNOWN] for rows in arrays.rows)
        split = super().apply(taken(images, labels, train, test, val, arrays.classes[chosen]))
        return with_all_rows(split, images, labels, np.concatenate([train, test, val]))


@options("dataset.split")
@dataclass(frozen=True)
class EqualTestSplit(Split):
    """A test set of `per_class` images of every class, drawn from all images. `test` is not read.

    If `val` is None, the data set's own validation images stay validation images.
    """

    per_class: Annotated[Count, Means("test images of every class")] = 100

    def apply(self, arrays: Arrays) -> DataSet:
        require_labels(torch.from_numpy(arrays.train_labels), "dataset.split.per_class")
        images, labels = arrays.whole()
        train, given, val = arrays.rows
        free = np.concatenate([train, given] if self.val is None else [train, given, val])
        val = val if self.val is None else val[:0]
        fewest = int(np.bincount(labels[free], minlength=len(arrays.classes)).min())
        if not 0 < self.per_class < fewest:
            raise UsageError(
                f"dataset.split.per_class is {self.per_class}, but a class has {fewest} images; give 1 to {fewest - 1}"
            )
        order = free[torch.randperm(len(free), generator=stream(self.seed, "test split")).numpy()]
        test = [order[labels[order] == label][: self.per_class] for label in range(len(arrays.classes))]
        rows = np.sort(np.concatenate(test))
        rest = np.setdiff1d(free, rows)
        split = Split(self.val, None, self.seed).apply(taken(images, labels, rest, rows, val, arrays.classes))
        return with_all_rows(split, images, labels, np.concatenate([rest, rows, val]))


def taken(
    images: NDArray[np.uint8], labels: Rows, train: Rows, test: Rows, val: Rows, classes: NDArray[np.str_]
) -> Arrays:
    """The images of these rows, as the three parts of a data set."""
    return Arrays(images[train], labels[train], images[test], labels[test], classes, images[val], labels[val])


def with_all_rows(split: DataSet, images: NDArray[np.uint8], labels: Rows, rows: Rows) -> DataSet:
    """Turns a `split` of some `rows` into a split of all images: its ids become rows of `images`, [N, H, W(, C)]."""
    ids = torch.from_numpy(rows)
    return replace(
        split,
        images=channels_first(images),
        labels=torch.from_numpy(labels),
        train=ids[split.train],
        val=ids[split.val],
        test=ids[split.test],
    )
