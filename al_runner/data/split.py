"""Who is trained on, validated on and tested on; drawn from a seed of its own, the same for every run."""

from dataclasses import dataclass

import numpy as np
import torch

from al_runner.data.arrays import Arrays
from al_runner.errors import UsageError
from al_runner.rng import stream
from al_runner.types import DataSet

HELD_OUT = 0.2  # the test set of a data set that has none and for which no size is given


@dataclass(frozen=True)
class Split:
    """Sizes of the validation and the test set: numbers of images, or fractions below 1 of those they are taken from.

    `test` None keeps the data set's own test images, or draws a fifth of all images where it has none; otherwise
    all images are merged and the test set is drawn from them.
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
        if self.test is None and official < len(images):
            test, rest = torch.arange(official, len(images)), torch.randperm(official, generator=rng)
        else:
            order = torch.randperm(len(images), generator=rng)
            count = _count("test", HELD_OUT if self.test is None else self.test, len(order))
            test, rest = order[:count].sort().values, order[count:]
        count = _count("val", self.val, len(rest))
        val, train = rest[:count], rest[count:]
        if images.ndim == 3:
            images = images.reshape(*images.shape, 1)
        return DataSet(
            torch.from_numpy(images).permute(0, 3, 1, 2),
            labels,
            train.sort().values,
            val.sort().values,
            test,
            tuple(str(name) for name in arrays.classes),
        )


def _count(name: str, size: float, available: int) -> int:
    count = 0
    if isinstance(size, int | float):  # a YAML may hold anything
        count = round(size * available) if 0 < size < 1 else int(size)
    if not 0 < count < available or (size >= 1 and count != size):
        raise UsageError(
            f"dataset.split.{name} is {size}, but it is taken from {available} images; "
            f"give a whole number from 1 to {available - 1}, or a fraction below 1"
        )
    return count
