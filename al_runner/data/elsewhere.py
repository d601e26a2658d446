"""A data set that is tested on another one's images, such as digits of other writers and another scanner.

N images, C channels, H x W pixels.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.types import DataSet


@options("dataset")
def elsewhere(
    data_root: str,
    home: Annotated[Callable[..., DataSet], Means("the data set that is trained and validated on")],
    other: Annotated[Callable[..., DataSet], Means("the data set whose images, all of them, are the test images")],
    pixels: Annotated[Count, Means("a side of the test images in the middle of the others' size, black around them")],
) -> DataSet:
    """The data set `home`, its test images replaced by all images of `other`; their ids follow its own.

    Raises UsageError if the two differ in classes or channels, or if `pixels` is more than a side of the images.
    """
    trained, tested = home(data_root=data_root), other(data_root=data_root)
    kinds = [(len(data.classes), data.image_shape[0]) for data in (trained, tested)]
    if kinds[0] != kinds[1]:
        (classes, channels), (others, other_channels) = kinds
        raise UsageError(
            f"dataset.other has {others} classes and {other_channels} channels, dataset.home {classes} and {channels}; "
            "choose two data sets of the same classes"
        )
    ids = torch.cat([tested.train, tested.val, tested.test]).sort().values
    images = framed(tested.images[ids], pixels, trained.image_shape[1:])
    first, (ours, theirs) = len(trained.images), map(named, (trained, tested))
    return replace(
        trained,
        images=torch.cat([trained.images, images]).contiguous(memory_format=torch.channels_last),
        labels=torch.cat([trained.labels, tested.labels[ids]]),
        test=torch.arange(first, first + len(ids)),
        files=(*ours, *(theirs[id_] for id_ in ids.tolist())) if trained.files or tested.files else (),
    )


def named(data: DataSet) -> tuple[str, ...]:
    """The file of every image, "" if the images came as arrays."""
    return data.files or ("",) * len(data.images)


def framed(images: Tensor, pixels: int, size: tuple[int, int]) -> Tensor:
    """Images brought to `pixels` a side and put into the middle of black ones of `size`, uint8 [N, C, H, W].

    Raises UsageError if `pixels` is more than the smaller side of `size`.
    """
    if pixels > min(size):
        raise UsageError(f"dataset.pixels is {pixels}, more than a side of the images has; give at most {min(size)}")
    scaled = interpolate(images.float(), (pixels, pixels), mode="bilinear", antialias=True).round().to(torch.uint8)
    top, left = (size[0] - pixels) // 2, (size[1] - pixels) // 2
    return pad(scaled, (left, size[1] - pixels - left, top, size[0] - pixels - top))
