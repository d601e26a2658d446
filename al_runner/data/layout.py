"""Where an image array has its colour channels, and of what type its values are.

N images of H x W pixels, C colour channels.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError

MOST = 4  # channels of an image whose sizes tell which of them is the channels'
CHECKED = 2**24  # values that are looked at at once

Values = Literal["uint8", "float"]


def channels_last(
    where: object, name: str, images: NDArray[Any], channels: str | None, values: Values = "uint8"
) -> NDArray[Any]:
    """`images` as [N, H, W] or [N, H, W, C]; UsageError where they are of another form, or it can't be told.

    Of `values` "uint8" they must be uint8, of "float" they become floats, as in `floats`.
    """
    if channels not in (None, "first", "last"):
        raise UsageError(f"dataset.channels is {channels}; choose first, last or null")
    if not images.size:
        return np.zeros((0, 0, 0), np.uint8)
    if values == "float" and images.ndim in (3, 4):
        images = floats(where, name, images)
    elif images.dtype != np.uint8 or images.ndim not in (3, 4):
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


def floats(where: object, name: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """The numbers as float32, or float16 where they are; not copied where they are of either type already.

    UsageError where one is NaN or infinite, also as float32, or they are no numbers.
    """
    if numbers.dtype.kind not in "biuf":
        raise UsageError(f"{where}: {name} is {numbers.dtype} {numbers.shape}; numbers are wanted")
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
    if images.ndim == 2:
        return "; dataset=embeddings reads vectors"
    if images.ndim not in (3, 4) or images.dtype == np.uint8 or images.dtype.kind not in "biuf":
        return ""
    return f"{_as_uint8(images)}; dataset.values=float keeps them as they are (dataset=npz)"


def _as_uint8(images: NDArray[Any]) -> str:
    low, high = images.min(), images.max()
    if images.dtype == np.bool_ or (low >= 0 and high <= 1):
        return "; values of 0 .. 1 become so by (255 * images).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return "; values of 0 .. 255 become so by images.round().astype('uint8')"
    return f"; its values are {low} .. {high}: scale them to 0 .. 255 first"
