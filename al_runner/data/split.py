"""Who is trained on, validated on and tested on; drawn from a seed of its own, the same for every run."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from al_runner.data.arrays import Arrays
from al_runner.errors import UsageError
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Means
from al_runner.types import NO_IDS, UNKNOWN, DataSet

# Of a data set that has no part of its own for it and for which no size is given.
HELD_OUT = {"test": 0.2, "val": 0.1}


@options("dataset.split")
@dataclass(frozen=True)
class Split:
    """Sizes of the validation and the test set: numbers of images, or fractions below 1 of those they are taken from.

    `test` None keeps the data set's own test images, or draws a fifth of all images where it has none; otherwise
    its train and test images are merged and the test set is drawn from them. `val` None keeps its own validation
    images, or draws a tenth of what the test set leaves; otherwise they are merged with the others, and it is drawn
    from all.
    """

    val: Annotated[
        float | None, Means("validation images, or their share of the rest; null: the data set's own, or a tenth")
    ] = None
    test: Annotated[float | None, Means("test images, or their share of all; null: the data set's own, or a fifth")] = (
        None
    )
    seed: Annotated[CountOrZero, Means("draws the parts, the same for every run")] = 0

    def apply(self, arrays: Arrays) -> DataSet:
        """The data set with ids by this split; UsageError where a part would be empty."""
        images, labels = arrays.whole()
        if images.ndim == 3:
            images = images.reshape(*images.shape, 1)
        train, val, test = self.drawn(*map(torch.from_numpy, arrays.rows))
        train, known = train.sort().values, torch.from_numpy(labels)
        labelled = train[known[train] != UNKNOWN]
        return DataSet(
            torch.from_numpy(images).permute(0, 3, 1, 2),
            known,
            train,
            val.sort().values,
            test.sort().values,
            tuple(str(name) for name in arrays.classes),
            () if arrays.files is None else tuple(str(name) for name in arrays.files),
            labelled if len(labelled) < len(train) else NO_IDS,
        )

    def drawn(self, train: Tensor, test: Tensor, val: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Train, validation and test ids of those that the data set says are such."""
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


def _count(name: str, wanted: float | None, available: int) -> int:
    size = HELD_OUT[name] if wanted is None else wanted
    count = round(size * available) if 0 < size < 1 else int(size)
    if not 0 < count < available or (size >= 1 and count != size):
        raise UsageError(
            f"dataset.split.{name} is {size:g}, but it is taken from {available} images; "
            f"give a whole number from 1 to {available - 1}, or a fraction below 1"
        )
    return count
