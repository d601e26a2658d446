"""Where an image array has its colour channels.

N images of H x W pixels, C colour channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError

MOST = 4  # an axis of at most this size may be the channels


def channels_last(where: object, name: str, images: NDArray[Any], channels: str | None) -> NDArray[np.uint8]:
    """`images` as uint8 [N, H, W] or [N, H, W, C]; UsageError where they are of another form, or it can't be told."""
    if channels not in (None, "first", "last"):
        raise UsageError(f"dataset.channels is {channels}; choose first, last or null")
    if not images.size:
        return np.zeros((0, 0, 0), np.uint8)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UsageError(
            f"{where}: {name} is {images.dtype} {images.shape}; it must be uint8 [N, H, W(, C)]{_remedy(images)}"
        )
    if images.ndim == 3:
        return images
    place = channels or _place_of_channels(*images.shape[1:])
    if place == "last":
        return images
    if channels == "first":
        return np.ascontiguousarray(np.moveaxis(images, 1, -1))
    guess = "and its channels may be first or last" if place is None else "so its channels seem to be first"
    raise UsageError(
        f"{where}: {name} is {images.shape}, {guess}; dataset.channels=first reads it as [N, C, H, W], "
        "dataset.channels=last as [N, H, W, C]"
    )


def _place_of_channels(first: int, middle: int, last: int) -> str | None:
    """Where the channels of images of these three sizes are: "first", "last", or None if the sizes do not say.

    The axis of the channels is short, and the other two are often equal. The sizes do not say it if both axes fit, if
    the two signs contradict each other, or if no axis is short enough.
    """
    few = {place for place, size in (("first", first), ("last", last)) if size <= MOST}
    square = {place for place, even in (("first", middle == last), ("last", first == middle)) if even}
    places = few & square if len(square) == 1 else few
    return next(iter(places)) if len(places) == 1 else None


def _remedy(images: NDArray[Any]) -> str:
    """How to make uint8 of numbers of another type; empty if the values are no numbers or have no axes of images."""
    if images.ndim not in (3, 4) or images.dtype == np.uint8 or images.dtype.kind not in "biuf":
        return ""
    low, high = images.min(), images.max()
    if images.dtype == np.bool_ or (low >= 0 and high <= 1):
        return "; its values are 0 .. 1: write (255 * images).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return "; its values are 0 .. 255: write images.round().astype('uint8')"
    return f"; its values are {low} .. {high}: scale them to 0 .. 255 first"
