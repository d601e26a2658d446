"""Splits by class: one keeps some classes only, one has a test set with the same number of images of every class."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from al_runner.data.arrays import Arrays
from al_runner.data.split import Split
from al_runner.data.usable import require_labels
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Count, CountOrZero, Means
from al_runner.types import DataSet


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

    def divided(self, arrays: Arrays) -> DataSet:
        chosen = [int(label) for label in self.classes]
        if len(set(chosen)) < max(2, len(chosen)) or not set(chosen) <= set(range(len(arrays.classes))):
            raise UsageError(
                f"dataset.split.classes is {list(self.classes)}; give two or more different ones of "
                f"0 .. {len(arrays.classes) - 1}"
            )
        numbers = np.full(len(arrays.classes) + 1, UNKNOWN, dtype=np.int64)  # the last entry is that of UNKNOWN, -1
        numbers[chosen] = np.arange(len(chosen))
        require_labels(torch.from_numpy(arrays.train_labels), "dataset.split.classes")
        parts = {name: getattr(arrays, name) for name in ("train_labels", "test_labels", "val_labels")}
        renumbered = {name: numbers[labels] for name, labels in parts.items() if labels is not None}
        arrays = arrays._replace(classes=arrays.classes[chosen], **renumbered)
        labels = arrays.labels
        return self.parted(arrays, *(rows[labels[rows] != UNKNOWN] for rows in arrays.rows))


@options("dataset.split")
@dataclass(frozen=True)
class EqualTestSplit(Split):
    """A test set of `per_class` images of every class, drawn from all images. `test` is not read.

    If `val` is None, the data set's own validation images stay validation images.
    """

    per_class: Annotated[Count, Means("test images of every class")] = 100

    def divided(self, arrays: Arrays) -> DataSet:
        labels = arrays.labels
        require_labels(torch.from_numpy(labels), "dataset.split.per_class")
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
        return Split(self.val, None, self.seed).parted(arrays, rest, rows, val)
