"""Pools with images of no class (open-set annotation; Ning et al., 2022)."""

from dataclasses import replace
from typing import Annotated

import torch

from al_runner.data.usable import require_labels
from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS, UNKNOWN
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means
from al_runner.types import DataSet


@options("pool")
def open_set(
    data: DataSet,
    known: Annotated[Count, Means("classes, drawn at random, that the net learns and is tested on")],
    others: Annotated[Count | None, Means("other random classes, whose images are of no class; null: all")] = None,
    seed: Annotated[CountOrZero, Means("draws the classes; ${seed}: others in every run")] = 0,
) -> DataSet:
    """Keeps `known` random classes, in their old order; training images of `others` stay in the pool, of no class.

    The oracle answers OF_NO_CLASS for these. Such an answer costs as much as a label, and adds nothing to train on. The
    validation and the test set keep the images of the known classes only. Ids do not change. An image of a class that
    is neither known nor among the others is in no part, and has the label UNKNOWN. Raises UsageError if the data set
    has too few classes, if fewer than two are known, or if a training image has no label.
    """
    require_labels(data.labels[data.train], "pool=open_set")
    order = torch.randperm(len(data.classes), generator=stream(seed, "known classes"))
    outside = order[known:] if others is None else order[known : known + others]
    if known < 2 or len(outside) < (others or 1):
        raise UsageError(
            f"pool.known is {known} and pool.others {'null' if others is None else others}, but the data set has "
            f"{len(order)} classes; pool=open_set needs 2 known classes or more, and at least one other"
        )
    kept = order[:known].sort().values
    numbers = torch.full((len(order) + 1,), UNKNOWN)  # the last entry is that of UNKNOWN, -1
    numbers[outside], numbers[kept] = OF_NO_CLASS, torch.arange(known)
    labels = numbers[data.labels]
    return replace(
        data,
        labels=labels,
        classes=tuple(data.classes[i] for i in kept),
        train=data.train[labels[data.train] != UNKNOWN],
        val=data.val[labels[data.val] >= 0],
        test=data.test[labels[data.test] >= 0],
    )
