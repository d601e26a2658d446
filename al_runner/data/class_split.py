"""A data set without some of its classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from al_runner.data.arrays import Arrays
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet

NOWHERE = -1  # the label of an image that no part of the split holds


@dataclass(frozen=True)
class ClassSplit(Split):
    """A split of the images of some classes alone, such as two digits; sizes are counted among these.

    `classes` are numbers from 0 in the data set's order; their labels become 0, 1, ... in the order given. Ids stay
    rows of all images.
    """

    classes: Sequence[int] = (0, 1)

    def apply(self, arrays: Arrays) -> DataSet:
        chosen = [int(label) for label in self.classes]
        if len(set(chosen)) < max(2, len(chosen)) or not set(chosen) <= set(range(len(arrays.classes))):
            raise UsageError(
                f"dataset.split.classes is {list(self.classes)}; give two or more different ones of "
                f"0 .. {len(arrays.classes) - 1}"
            )
        renumbered = np.full(len(arrays.classes), NOWHERE, dtype=np.int64)
        renumbered[chosen] = np.arange(len(chosen))
        train, test = renumbered[arrays.train_labels], renumbered[arrays.test_labels]
        rows = torch.from_numpy(np.flatnonzero(np.concatenate([train, test]) != NOWHERE))
        kept = super().apply(
            Arrays(
                arrays.train_images[train != NOWHERE],
                train[train != NOWHERE],
                arrays.test_images[test != NOWHERE],
                test[test != NOWHERE],
                arrays.classes[chosen],
            )
        )
        images = np.concatenate([arrays.train_images, arrays.test_images])
        if images.ndim == 3:
            images = images.reshape(*images.shape, 1)
        return replace(
            kept,
            images=torch.from_numpy(images).permute(0, 3, 1, 2),
            labels=torch.from_numpy(np.concatenate([train, test])),
            train=rows[kept.train],
            val=rows[kept.val],
            test=rows[kept.test],
        )
