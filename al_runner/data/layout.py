"""Finds the axis of the colour channels of an image array, and checks the type of its values.

N images of H x W pixels, C colour channels.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError

MOST = 4  # an axis of this size or smaller may be the channels
CHECKED = 2**24  # the number of values that are checked at once

Values = Literal["uint8", "float"]


def channels_last(
    where: object, name: str, images: NDArray[Any], channels: str | None, values: Values = "uint8"
) -> NDArray[Any]:
    """`images` as [N, H, W] or [N, H, W, C]. If `values` is "float" they become float32 or float16, as in `floats`.

    Raises UsageError if they have another form, if they are not uint8 and `values` is "uint8", or if `channels` is None
    and the sizes do not show that the channels are last.
    """
    if channels not in (None, "first", "last"):
        raise UsageError(f"dataset.channels is {channels}; choose first, last or null")
    if not images.size:
        return np.zeros((0, 0, 0), np.uint8)
    if values == "float" and images.ndim in (3, 4):
        images = floats(where, name, images)
    elif images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UsageError(
            f"{where}: {name} is {images.dtype} {images.shape}; it must be uint8 [N, H, W(, C)]{_remedy(images)}"
        )
    if images.ndim == 3:
        return images
    place = channels or place_of_channels(*images.shape[1:])
    if place == "last":
        return images
    if channels == "first":
        return np.ascontiguousarray(np.moveaxis(images, 1, -1))
    guess = "and its channels may be first or last" if place is None else "so its channels seem to be first"
    raise UsageError(
        f"{where}: {name} is {images.shape}, {guess}; dataset.channels=first reads it as [N, C, H, W], "
        "dataset.channels=last as [N, H, W, C]"
    )


def floats(where: object, name: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """The numbers as float32, or float16 if they are that; no copy is made of numbers of either type.

    Raises UsageError if one is NaN or infinite, also as float32, or if they are no numbers.
    """
    if numbers.dtype.kind not in "biuf":
        raise UsageError(f"{where}: {name} is {numbers.dtype} {numbers.shape}; they must be numbers")
    if numbers.dtype not in (np.float16, np.float32):
        with np.errstate(over="ignore"):
            numbers = numbers.astype(np.float32)
    step = max(1, CHECKED // max(1, numbers[:1].size))
    for start in range(0, len(numbers), step):
        sound = np.isfinite(numbers[start : start + step])
        if not sound.all():
            row = start + int(np.flatnonzero(~sound.reshape(len(sound), -1).all(axis=1))[0])
            raise UsageError(f"{where}: {name} has NaN or an infinite value in row {row}; leave such rows out")
    return numbers


def place_of_channels(first: int, middle: int, last: int) -> str | None:
    """Where the channels of images of these three sizes are: "first", "last", or None if the sizes do not say.

    The axis of the channels is short, and the other two are often equal. The sizes do not say it if both axes fit, if
    the two signs contradict each other, or if no axis is short enough.
    """
    few = {place for place, size in (("first", first), ("last", last)) if size <= MOST}
    square = {place for place, even in (("first", middle == last), ("last", first == middle)) if even}
    places = few & square if len(square) == 1 else few
    return next(iter(places)) if len(places) == 1 else None


def _remedy(images: NDArray[Any]) -> str:
    """How to turn numbers of another type into uint8; "" if they are no numbers or do not have the axes of images."""
    if images.ndim == 2:
        return "; dataset=embeddings reads vectors"
    if images.ndim not in (3, 4) or images.dtype == np.uint8 or images.dtype.kind not in "biuf":
        return ""
    return f"{_as_uint8(images)}; dataset.values=float keeps them as they are (dataset=npz)"


def _as_uint8(images: NDArray[Any]) -> str:
    low, high = images.min(), images.max()
    if images.dtype == np.bool_ or (low >= 0 and high <= 1):
        return "; its values are 0 .. 1: write (255 * images).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return "; its values are 0 .. 255: write images.round().astype('uint8')"
    return f"; its values are {low} .. {high}: scale them to 0 .. 255 first"
