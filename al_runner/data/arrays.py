"""The arrays every source ends in, and the form they must have.

N images of H x W pixels, C colour channels.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


class Arrays(NamedTuple):
    """The contents of a prepared file; the test part may be empty."""

    train_images: NDArray[np.uint8]  # [N, H, W] or [N, H, W, C]
    train_labels: NDArray[np.int64]  # [N]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: NDArray[np.str_]


def checked(where: object, found: Mapping[str, NDArray[Any]]) -> Arrays:
    """`found` in the form above, class names counted from the labels if it has none.

    UsageError names `where` it came from and what is wrong.
    """
    missing = [name for name in ARRAYS if name not in found]
    if missing:
        raise UsageError(f"{where} has no array {', '.join(missing)}; it needs {', '.join(ARRAYS)}")
    train_images, test_images = (_images(where, part, found[f"{part}_images"]) for part in ("train", "test"))
    train_labels = _labels(where, "train", found["train_labels"], len(train_images))
    test_labels = _labels(where, "test", found["test_labels"], len(test_images))
    if not len(train_images):
        raise UsageError(f"{where}: train_images is empty; put the images to choose from there")
    if len(test_images) and train_images.shape[1:] != test_images.shape[1:]:
        raise UsageError(f"{where}: train and test images differ in size; make them equal")
    labels = np.concatenate([train_labels, test_labels])
    low, high = int(labels.min()), int(labels.max())
    classes = found.get("classes", np.array([str(label) for label in range(high + 1)]))
    if classes.ndim != 1 or not (low >= 0 and high < len(classes)):
        raise UsageError(f"{where}: labels are {low} .. {high}; 0 .. {len(classes) - 1} is wanted, one for each class")
    return Arrays(train_images, train_labels, test_images, test_labels, classes.astype(np.str_))


def _images(where: object, part: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UsageError(f"{where}: {part}_images is {images.dtype} {images.shape}; uint8 [N, H, W(, C)] is wanted")
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise UsageError(f"{where}: {part}_images is {images.shape}, channels first; transpose it to [N, H, W, C]")
    return images


def _labels(where: object, part: str, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (count,):
        raise UsageError(f"{where}: {part}_labels is {labels.dtype} {labels.shape}; {count} integers are wanted")
    return labels.astype(np.int64)
