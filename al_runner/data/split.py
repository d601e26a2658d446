"""Which images are for training, validation and test. The split has its own seed, so all runs share it."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import InstanceOf
from torch import Tensor

from al_runner.data.arrays import Arrays, sound
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Means
from al_runner.types import NO_IDS, DataSet

# Shares of the images, if the data set does not have this part and no size is given.
HELD_OUT = {"test": 0.2, "val": 0.1}


@options("dataset.split")
@dataclass(frozen=True)
class Split:
    """Sizes of the validation and the test set: numbers of images, or fractions below 1 of those they are drawn from.

    `test` None keeps the data set's own test images; if it has none, a fifth of all images is drawn. Any other `test`
    merges its train and test images and draws the test set from them. `val` None keeps its own validation images; if it
    has none, a tenth of the images that are not for test is drawn. Any other `val` merges its validation images with
    the others and draws the validation set from all that are not for test. With 0 there is none, which budget.val_share
    can do without.
    """

    val: Annotated[
        float | None,
        Means("validation images, or their share of the rest; null: the data set's own, or a tenth; 0: none"),
    ] = None
    test: Annotated[float | None, Means("test images, or their share of all; null: the data set's own, or a fifth")] = (
        None
    )
    seed: Annotated[CountOrZero, Means("draws the parts, the same for every run")] = 0

    def apply(self, arrays: Arrays) -> DataSet:
        """The data set with the ids of its three parts.

        Raises UsageError if a part would be empty, unless `val` is 0, and as `sound` if the arrays come from no file
        that was checked.
        """
        if not isinstance(arrays, Arrays):
            raise UsageError(
                f"split.apply got {type(arrays).__name__}; give Arrays(train_images, train_labels, test_images, "
                "test_labels, classes)"
            )
        return self.divided(arrays if arrays.source else sound(arrays))

    def divided(self, arrays: Arrays) -> DataSet:
        """The data set of checked arrays. A split of another kind overrides this."""
        return self.parted(arrays, *arrays.rows)

    def parted(self, arrays: Arrays, *rows: NDArray[np.int64]) -> DataSet:
        """The data set whose parts are drawn from these rows of all images: training, test and validation, int64 each.

        An image of no part keeps its id.
        """
        images, labels = arrays.whole()
        train, val, test = self.drawn(*map(torch.from_numpy, rows))
        train, known = train.sort().values, torch.from_numpy(labels)
        labelled = train[known[train] != UNKNOWN]
        return DataSet(
            channels_first(images),
            known,
            train,
            val.sort().values,
            test.sort().values,
            tuple(str(name) for name in arrays.classes),
            () if arrays.files is None else tuple(str(name) for name in arrays.files),
            arrays.source._asdict() if arrays.source else None,
            labelled if len(labelled) < len(train) else NO_IDS,
        )

    def drawn(self, train: Tensor, test: Tensor, val: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ids for training, validation and test, from the ids of the data set's own parts, int64 each."""
        rng = stream(self.seed, "split")
        keeps_val = self.val is None and len(val) > 0
        rest = train if keeps_val else torch.cat([train, val])
        if self.test is None and len(test):
            rest = rest[torch.randperm(len(rest), generator=rng)]
        else:
            merged = torch.cat([train, test] if keeps_val else [train, test, val])
            order = merged[torch.randperm(len(merged), generator=rng)]
            count = _count("test", self.test, len(order))
            test, rest = order[:count], order[count:]
        if keeps_val:
            return rest, val, test
        count = _count("val", self.val, len(rest))
        return rest[count:], rest[:count], test


def channels_first(images: NDArray[Any]) -> Tensor:
    """Images [N, H, W] or [N, H, W, C] as a tensor [N, C, H, W] on the same memory."""
    whole = images if images.ndim == 4 else images.reshape(*images.shape, 1)
    return torch.from_numpy(whole).permute(0, 3, 1, 2)


# The option of every data set in a file of the user's own.
Relabel = Annotated[
    bool, Means("number the labels that occur from 0; their old values or names become the classes' names")
]
# The option of every data set of images.
AnySplit = Annotated[InstanceOf[Split], Means("which images are for training, validation and test")]


def _count(name: str, wanted: float | None, available: int) -> int:
    size = HELD_OUT[name] if wanted is None else wanted
    count = round(size * available) if 0 < size < 1 else int(size)
    least = 0 if name == "val" and size == 0 else 1
    if not least <= count < available or (size >= 1 and count != size):
        drawn = f"dataset.split.{name} is {size:g}, but it is drawn from"
        if available < 2:
            raise UsageError(f"{drawn} {available} image; add images")
        raise UsageError(
            f"{drawn} {available} images; give a whole number from 1 to {available - 1}, or a fraction below 1"
        )
    return count
