"""Where an image array has its colour channels.

N images of H x W pixels, C colour channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError

MOST = 4  # channels of an image whose sizes tell which of them is the channels'


def channels_last(where: object, name: str, images: NDArray[Any], channels: str | None) -> NDArray[np.uint8]:
    """`images` as uint8 [N, H, W] or [N, H, W, C]; UsageError where they are of another form, or it can't be told."""
    if channels not in (None, "first", "last"):
        raise UsageError(f"dataset.channels is {channels}; choose first, last or null")
    if not images.size:
        return np.zeros((0, 0, 0), np.uint8)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UsageError(
            f"{where}: {name} is {images.dtype} {images.shape}; uint8 [N, H, W(, C)] is wanted{_remedy(images)}"
        )
    if images.ndim == 3:
        return images
    told = channels or _told(*images.shape[1:])
    if told == "last":
        return images
    if channels == "first":
        return np.ascontiguousarray(np.moveaxis(images, 1, -1))
    seen = "it can't be told where the channels are" if told is None else "channels first by its sizes"
    raise UsageError(
        f"{where}: {name} is {images.shape}, {seen}; dataset.channels=first reads it as [N, C, H, W], "
        "dataset.channels=last as [N, H, W, C]"
    )


def _told(first: int, middle: int, last: int) -> str | None:
    """Where images of these three sizes have their channels, None where the sizes leave it open.

    There are few channels, and most images are square; where neither says more for one place, or they contradict
    each other, or there are more channels than a picture has, it is open.
    """
    few = {place for place, size in (("first", first), ("last", last)) if size <= MOST}
    square = {place for place, even in (("first", middle == last), ("last", first == middle)) if even}
    told = few & square if len(square) == 1 else few
    return next(iter(told)) if len(told) == 1 else None


def _remedy(images: NDArray[Any]) -> str:
    """How to make uint8 of values of another type, as far as that can be told."""
    if images.ndim not in (3, 4) or images.dtype == np.uint8 or images.dtype.kind not in "biuf":
        return ""
    low, high = images.min(), images.max()
    if images.dtype == np.bool_ or (low >= 0 and high <= 1):
        return "; values of 0 .. 1 become so by (255 * images).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return "; values of 0 .. 255 become so by images.round().astype('uint8')"
    return f"; its values are {low} .. {high}: scale them to 0 .. 255 first"
