"""Pools that are not clean: wrong labels, repeated images, outliers; validation and test images stay as they are."""

from dataclasses import replace

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.rng import stream
from al_runner.types import DataSet


def label_noise(data: DataSet, share: float, seed: int = 0) -> DataSet:
    """Give a `share` of the training images another label, each of the others equally likely."""
    ids = drawn(data, share, seed, "label noise")
    classes = len(data.classes)
    labels = data.labels.clone()
    labels[ids] = (
        labels[ids] + torch.randint(1, classes, (len(ids),), generator=stream(seed, "wrong labels"))
    ) % classes
    return replace(data, labels=labels)


def repeated(data: DataSet, times: int, noise: float = 0.1, seed: int = 0) -> DataSet:
    """Put every training image into the pool `times` times, pixel noise of standard deviation `noise` on each copy.

    As Repeated-MNIST (Kirsch et al., 2019, section 4.3), noise in units of the pixels' range. The first time is the
    image itself; copies are new ids after all others.
    """
    if times < 2 or noise < 0:
        raise UsageError(f"pool.times is {times} and pool.noise {noise}; they must be 2 or more, and 0 or more")
    originals = data.train.repeat(times - 1)
    rng = stream(seed, "repeats")
    copies = data.images[originals].float()
    copies += 255 * noise * torch.randn(copies.shape, generator=rng)
    images = torch.cat([data.images, copies.round().clamp(0, 255).to(torch.uint8)])
    ids = torch.cat([data.train, torch.arange(len(data.images), len(images))])
    return replace(data, images=images, labels=torch.cat([data.labels, data.labels[originals]]), train=ids)


def outliers(data: DataSet, share: float, seed: int = 0) -> DataSet:
    """Shuffle the pixels of a `share` of the training images, each in its own way, and draw their labels at random."""
    ids = drawn(data, share, seed, "outliers")
    rng = stream(seed, "outlier pixels")
    images, labels = data.images.clone(), data.labels.clone()
    channels, height, width = data.image_shape
    for id_ in ids.tolist():
        order = torch.randperm(height * width, generator=rng)
        images[id_] = data.images[id_].reshape(channels, -1)[:, order].reshape(channels, height, width)
    labels[ids] = torch.randint(len(data.classes), (len(ids),), generator=rng)
    return replace(data, images=images, labels=labels)


def drawn(data: DataSet, share: float, seed: int, purpose: str) -> Tensor:
    """Ids of a `share` of the training images, at random."""
    if not 0 < share < 1:
        raise UsageError(f"pool.share is {share}; it must be above 0 and below 1")
    order = torch.randperm(len(data.train), generator=stream(seed, purpose))
    return data.train[order[: round(share * len(order))]]
