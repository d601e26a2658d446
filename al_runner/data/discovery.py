"""Pools with classes that the initial set does not have (Kaeding et al., 2016, section 3)."""

from dataclasses import replace
from typing import Annotated

import torch

from al_runner.data.usable import require_labels
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means
from al_runner.types import DataSet


@options("pool")
def class_discovery(
    data: DataSet,
    known: Annotated[Count, Means("classes, drawn at random, that the initial set may have (budget.known)")],
    novel: Annotated[CountOrZero | None, Means("other random classes, to be discovered; null: all others")] = None,
    pool: Annotated[Count | None, Means("training images of every class that stay in the pool; null: all")] = None,
    start: Annotated[CountOrZero, Means("further training images of every known class that stay")] = 0,
    seed: Annotated[CountOrZero, Means("draws classes and images; ${seed}: others in every run")] = 0,
) -> DataSet:
    """Keeps `known` and `novel` random classes: first the known ones, then the novel ones, each group in its old order.

    `pool` random training images of every class stay, and `start` more of every known class. The initial set has
    images of known classes only (budget.known). `novel` None keeps all other classes, `pool` None all images. The
    validation and the test set keep all their images of these classes. Ids do not change. An image of any other class
    gets the label UNKNOWN. Raises UsageError if the data set has too few classes or images, or if a training image has
    no label.
    """
    require_labels(data.labels[data.train], "pool=class_discovery")
    order = torch.randperm(len(data.classes), generator=stream(seed, "known classes"))
    others = len(order) - known if novel is None else novel
    if others < 0 or known + others > len(order):
        raise UsageError(
            f"pool.known is {known} and pool.novel {novel}, but the data set has {len(order)} classes; lower them"
        )
    kept = torch.cat([order[:known].sort().values, order[known : known + others].sort().values])
    numbers = torch.full((len(order) + 1,), UNKNOWN)  # the last entry is that of UNKNOWN, -1
    numbers[kept] = torch.arange(len(kept))
    labels = numbers[data.labels]
    parts = {name: (ids := getattr(data, name))[labels[ids] != UNKNOWN] for name in ("train", "val", "test")}
    rng = stream(seed, "pool of known and novel")
    shuffled = parts["train"][torch.randperm(len(parts["train"]), generator=rng)]
    by_class = [shuffled[labels[shuffled] == label] for label in range(len(kept))]
    if pool is not None:
        by_class = [ids[: pool + start * (label < known)] for label, ids in enumerate(by_class)]
        for label, ids in enumerate(by_class):
            if len(ids) < pool + start * (label < known):
                raise UsageError(
                    f"pool.pool is {pool} and pool.start {start}, but there are {len(ids)} training images of class "
                    f"{data.classes[kept[label]]!r}; lower them"
                )
    parts["train"] = torch.cat(by_class).sort().values
    return replace(data, labels=labels, classes=tuple(data.classes[i] for i in kept), **parts)
