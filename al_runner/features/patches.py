"""Features of whitened patches and k-means, which need no labels and no weights (Coates, Ng & Lee, 2011, section 3).

N images of C x H x W values, M patches of P x P pixels with D = C P^2 values, K centres.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import unfold

from al_runner.errors import UsageError
from al_runner.features.base import READ, Features
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means
from al_runner.strategies.clusters import clusters
from al_runner.strategies.core_set import squared_distances
from al_runner.system.chunks import rows_in_parts
from al_runner.types import DataSet

FLAT, NOISE = 10.0, 0.1  # added to variances of values 0 .. 255, and to those of normalised values (their section 3.1)
RANGE = 255.0


class Learned(NamedTuple):
    """What is learned from patches of the training images."""

    low: float  # this value counts as 0,
    scale: float  # and a difference of 1 counts as so much, so that values are 0 .. 255
    mean: Tensor  # of normalised patches, [D]
    whitening: Tensor  # [D, D], symmetric
    centres: Tensor  # [K, D]


@options("features")
@dataclass(frozen=True)
class Patches(Features):
    """How near the patches of every quarter of an image are to each of `centres` typical ones; 4 numbers a centre.

    Patches of the training images alone are whitened and clustered, so that validation and test images have no
    influence.
    """

    side: Annotated[Count, Means("pixels a side of a patch")] = 6
    centres: Annotated[Count, Means("typical patches, found by k-means; four times as many features")] = 400
    samples: Annotated[Count, Means("random patches of training images that k-means is run on")] = 100_000
    seed: Annotated[CountOrZero, Means("draws the patches and the start of k-means")] = 0

    def require(self, data: DataSet | None = None) -> None:
        if data is not None and min(data.image_shape[1:]) <= self.side:
            height, width = data.image_shape[1:]
            raise UsageError(
                f"features=patches takes patches of {self.side} x {self.side} pixels out of images of {height} x "
                f"{width}; images must be larger than patches: set features.side below {min(height, width)}, or "
                "choose another features="
            )
        if self.samples <= self.centres:
            raise UsageError(
                f"features.samples is {self.samples} and features.centres {self.centres}; give more samples than "
                "centres"
            )

    def identity(self, data: DataSet) -> Mapping[str, Any]:
        train = hashlib.sha256(data.train.cpu().numpy().tobytes()).hexdigest()[:16]
        return {name: getattr(self, name) for name in ("side", "centres", "samples", "seed")} | {"train": train}

    def extractor(self, data: DataSet, device: torch.device) -> Callable[[Tensor], Tensor]:
        learned = learn(data.images, data.train, self.side, self.centres, self.samples, self.seed)
        held = Learned(*learned[:2], *(part.to(device) for part in learned[2:]))
        return lambda x: quarters(triangle(*encoded(x, self.side, held)))


def learn(images: Tensor, train: Tensor, side: int, centres: int, samples: int, seed: int) -> Learned:
    """Whitening and centres from random patches of the images `train`, [N, C, H, W] and ids."""
    low, scale = range_of(images, train)
    rng = stream(seed, "patches")
    patches = normalised((drawn(images, train, side, samples, rng) - low) * scale)
    mean, whitening = zca(patches)
    return Learned(low, scale, mean, whitening, clusters((patches - mean) @ whitening, centres, rng)[1])


def range_of(images: Tensor, ids: Tensor) -> tuple[float, float]:
    """The value that counts as 0, and the factor that makes the range of these images 255; (0, 1) of uint8."""
    if images.dtype == torch.uint8:
        return 0.0, 1.0
    ends = [images[part].aminmax() for part in rows_in_parts(ids, READ, images[:1].numel())]
    low, high = min(float(end.min) for end in ends), max(float(end.max) for end in ends)
    return low, RANGE / (high - low or 1.0)


def drawn(images: Tensor, ids: Tensor, side: int, samples: int, rng: torch.Generator) -> Tensor:
    """Random patches of the images `ids`, float32 [M, D], in the order of `unfold`: channel, row, column."""
    height, width = images.shape[2:]
    chosen = ids[torch.randint(len(ids), (samples,), generator=rng)]
    top = torch.randint(height - side + 1, (samples, 1), generator=rng) + torch.arange(side)
    left = torch.randint(width - side + 1, (samples, 1), generator=rng) + torch.arange(side)
    channels = torch.arange(images.shape[1])[:, None, None]
    parts = zip(chosen.split(READ), top[:, None, :, None].split(READ), left[:, None, None].split(READ), strict=True)
    cut = [images[one[:, None, None, None], channels, rows, columns] for one, rows, columns in parts]
    return torch.cat(cut).flatten(1).float()


def normalised(patches: Tensor) -> Tensor:
    """Brightness and contrast taken out of every patch, [..., D] (section 3.1)."""
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + FLAT).sqrt()


def zca(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and symmetric whitening of patches, [M, D] -> [D], [D, D] (their section 3.1; Hyvarinen & Oja, 2000)."""
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T.double()))
    return mean, ((vectors / (values.clamp_min(0) + NOISE).sqrt()) @ vectors.T).float()


def encoded(x: Tensor, side: int, learned: Learned) -> tuple[Tensor, tuple[int, int]]:
    """Distances of all patches to all centres, [n, C, H, W] -> [n, L, K], and the rows and columns of the L places."""
    patches = unfold((x.float() - learned.low) * learned.scale, side).transpose(1, 2)
    white = (normalised(patches) - learned.mean) @ learned.whitening
    distances = squared_distances(white.flatten(0, 1), learned.centres).sqrt_()
    places = x.shape[2] - side + 1, x.shape[3] - side + 1
    return distances.unflatten(0, (len(x), -1)), places


def triangle(distances: Tensor, places: tuple[int, int]) -> Tensor:
    """max(0, mean distance - distance) of every patch, [n, L, K] -> [n, rows, columns, K] (their equation 2)."""
    activations = (distances.mean(-1, keepdim=True) - distances).clamp_min(0)
    return activations.reshape(len(distances), *places, -1)


def quarters(activations: Tensor) -> Tensor:
    """Sums over the four quarters of an image, [n, rows, columns, K] -> [n, 4 K]; a middle row belongs to the first."""
    rows, columns = (size + 1 >> 1 for size in activations.shape[1:3])
    parts = [half.split([columns, half.shape[2] - columns], 2) for half in activations.tensor_split([rows], 1)]
    return torch.cat([part.sum((1, 2)) for half in parts for part in half], 1)
