"""Pools that are not clean: wrong labels, repeated images, outliers. Validation and test images do not change."""

from dataclasses import replace
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from al_runner.data.usable import require_labels
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Means, NotNegative, ProperShare
from al_runner.types import DataSet

SEED = "draws the images that change, and how they change; ${seed}: others in every run"


@options("pool")
def label_noise(
    data: DataSet,
    share: Annotated[ProperShare, Means("share of the training images that get a wrong label")],
    seed: Annotated[CountOrZero, Means(SEED)] = 0,
) -> DataSet:
    """Give a `share` of the training images a wrong label; every wrong class is equally likely.

    Raises UsageError if a training image has no label.
    """
    require_labels(data.labels[data.train], "pool=label_noise")
    ids = random_share(data, share, seed, "label noise")
    classes = len(data.classes)
    labels = data.labels.clone()
    labels[ids] = (
        labels[ids] + torch.randint(1, classes, (len(ids),), generator=stream(seed, "wrong labels"))
    ) % classes
    return replace(data, labels=labels)


@options("pool")
def repeated(
    data: DataSet,
    times: Annotated[Annotated[int, Ge(2), Le(1000)], Means("how often every training image is in the pool")],
    noise: Annotated[
        NotNegative,
        Means("standard deviation of the copies' pixel noise, in units of the pixels' range; 0: exact copies"),
    ] = 0.1,
    seed: Annotated[CountOrZero, Means(SEED)] = 0,
) -> DataSet:
    """Put every training image into the pool `times` times, with pixel noise of standard deviation `noise` on copies.

    Much as in Repeated-MNIST (Kirsch et al., 2019); `noise` is in units of the pixels' range. The first is the image
    itself; copies are new ids after all others. The range of floats is that of the training images' values. Their code
    adds noise to the first, too, and does not clip the pixels; its 0.1 is in units of the standardised pixels, which
    is 0.031 here.
    """
    originals = data.train.repeat(times - 1)
    rng = stream(seed, "repeats")
    copies = data.images[originals].float()
    whole = data.images.dtype == torch.uint8
    low, high = (0.0, 255.0) if whole else (float(copies.min()), float(copies.max()))
    copies += (high - low) * noise * torch.randn(copies.shape, generator=rng)
    copies = copies.round().clamp(low, high) if whole else copies
    images = torch.cat([data.images, copies.to(data.images.dtype)])
    ids = torch.cat([data.train, torch.arange(len(data.images), len(images))])
    labels = torch.cat([data.labels, data.labels[originals]])
    files = (*data.files, *(data.files[id_] for id_ in originals.tolist())) if data.files else ()
    return replace(data, images=images, labels=labels, train=ids, files=files)


@options("pool")
def outliers(
    data: DataSet,
    share: Annotated[ProperShare, Means("share of the training images that become outliers")],
    seed: Annotated[CountOrZero, Means(SEED)] = 0,
) -> DataSet:
    """Shuffle the pixels of a `share` of the training images, each in its own way, and draw their labels at random.

    Of a vector, an image of one pixel, the numbers are shuffled. Raises UsageError if a training image has no label.
    """
    require_labels(data.labels[data.train], "pool=outliers")
    ids = random_share(data, share, seed, "outliers")
    rng = stream(seed, "outlier pixels")
    images, labels = data.images.clone(), data.labels.clone()
    channels, height, width = data.image_shape
    together = (1, channels) if height * width == 1 else (channels, height * width)
    for id_ in ids.tolist():
        order = torch.randperm(together[1], generator=rng)
        images[id_] = data.images[id_].reshape(together)[:, order].reshape(channels, height, width)
    labels[ids] = torch.randint(len(data.classes), (len(ids),), generator=rng)
    return replace(data, images=images, labels=labels)


def random_share(data: DataSet, share: float, seed: int, purpose: str) -> Tensor:
    """Ids of a random `share` of the training images, int64."""
    order = torch.randperm(len(data.train), generator=stream(seed, purpose))
    return data.train[order[: round(share * len(order))]]
