"""Who is trained on, validated on and tested on; drawn from a seed of its own, the same for every run."""

from dataclasses import dataclass

import numpy as np
import torch

from al_runner.data.prepared import Arrays
from al_runner.errors import UsageError
from al_runner.rng import stream
from al_runner.types import DataSet


@dataclass(frozen=True)
class Split:
    """Sizes of the validation and the test set: numbers of images, or fractions below 1 of those they are taken from.

    `test` None keeps the data set's own test images, which must then exist; otherwise all images are
    merged and the test set is drawn from them.
    """

    val: float
    test: float | None = None
    seed: int = 0

    def apply(self, arrays: Arrays) -> DataSet:
        """The data set with ids by this split; UsageError where a part would be empty."""
        images = np.concatenate([arrays.train_images, arrays.test_images])
        labels = torch.from_numpy(np.concatenate([arrays.train_labels, arrays.test_labels]))
        official = len(arrays.train_images)
        rng = stream(self.seed, "split")
        if self.test is None:
            test, rest = torch.arange(official, len(images)), torch.randperm(official, generator=rng)
        else:
            order = torch.randperm(len(images), generator=rng)
            count = _count("test", self.test, len(order))
            test, rest = order[:count].sort().values, order[count:]
        count = _count("val", self.val, len(rest))
        val, train = rest[:count], rest[count:]
        if not len(test):
            raise UsageError("the data has no test images; set dataset.split.test to a number or a fraction")
        if images.ndim == 3:
            images = images[..., None]
        return DataSet(
            torch.from_numpy(images).permute(0, 3, 1, 2),
            labels,
            train.sort().values,
            val.sort().values,
            test,
            tuple(str(name) for name in arrays.classes),
        )


def _count(name: str, size: float, available: int) -> int:
    count = round(size * available) if 0 < size < 1 else int(size)
    if (size >= 1 and count != size) or not 0 < count < available:
        raise UsageError(
            f"dataset.split.{name} is {size}, but it is taken from {available} images; "
            f"give a whole number from 1 to {available - 1}, or a fraction below 1"
        )
    return count
