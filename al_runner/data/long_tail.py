"""Pools in which a few classes have most of the images. Validation and test images do not change."""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from al_runner.data.usable import require_labels
from al_runner.errors import UsageError
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Means
from al_runner.types import DataSet


@options("pool")
def long_tailed(
    data: DataSet,
    ratio: Annotated[Annotated[float, Ge(1)], Means("images of the largest class for one image of the smallest one")],
    order: Annotated[
        Literal["given", "random"],
        Means("from the largest class to the smallest: the data set's order, or one that the seed draws"),
    ] = "given",
    seed: Annotated[
        CountOrZero, Means("draws the images that stay, and a random order; ${seed}: others in every run")
    ] = 0,
) -> DataSet:
    """Keep fewer and fewer training images from class to class, drawn at random (`class_sizes`).

    Ids do not change, so an image has the same id as in the clean data set. Raises UsageError if a training image has
    no label, if there is one class only, or if the smallest class would be empty.
    """
    labels, classes = data.labels[data.train], len(data.classes)
    require_labels(labels, "pool=long_tailed")
    if classes < 2:
        raise UsageError("pool=long_tailed needs two classes or more; leave it out")
    places = torch.arange(classes)
    if order == "random":
        places[torch.randperm(classes, generator=stream(seed, "order of classes"))] = torch.arange(classes)
    sizes = class_sizes(torch.bincount(labels, minlength=classes), places, ratio)
    if int(sizes.min()) < 1:
        raise UsageError(f"pool.ratio is {ratio:g}, so the smallest class has no image left; lower it")
    shuffled = data.train[torch.randperm(len(data.train), generator=stream(seed, "long tail"))]
    kept = [shuffled[data.labels[shuffled] == label][: sizes[label]] for label in range(classes)]
    train = torch.cat(kept).sort().values
    return replace(data, train=train, given=data.given[torch.isin(data.given, train)])


def class_sizes(images: Tensor, places: Tensor, ratio: float) -> Tensor:
    """How many images of each class stay, two [Y] -> int64 [Y] (Cui et al., 2019, section 5.1; Cao et al., 2019, 4.2).

    The class at place i of 0 .. Y-1 gets the whole part of n ratio^(-i / (Y-1)). `images` are there of each class; n
    is the largest number for which every class has enough.
    """
    shares = torch.tensor(float(ratio), dtype=torch.float64) ** (-places.double() / (len(places) - 1))
    most = ((images + 1) / shares).ceil().min() - 1  # the whole part of most * share is then at most `images`
    return (float(most) * shares + 1e-9).floor().long()
