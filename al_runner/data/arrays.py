"""The arrays that every source of images makes, and the form they must have.

N images of H x W pixels, C colour channels.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from al_runner.data.labels import no_class, numbered, text, whole_numbers
from al_runner.data.layout import Values, channels_last, place_of_channels
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
KEPT = (*ARRAYS, "classes", "val_images", "val_labels", "files")
OPTIONAL = (*KEPT[len(ARRAYS) :], "notes")


class DataFile(NamedTuple):
    """The file that arrays were read from. A run's journal records it, so that the report finds the images again."""

    name: str  # the file's name without its folder, or the name of a data set of bundled.py
    sha256: str = ""  # of the file, in hexadecimal; "" if unknown
    channels: str | None = None  # as in `checked`
    relabel: bool = False
    values: Values = "uint8"


class Arrays(NamedTuple):
    """The contents of a prepared file; the test part may be empty, and there may be no validation part."""

    train_images: NDArray[Any]  # uint8, float16 or float32, [N, H, W] or [N, H, W, C]; a vector is [1, 1, D]
    train_labels: NDArray[np.int64]  # [N]
    test_images: NDArray[Any]
    test_labels: NDArray[np.int64]
    classes: NDArray[np.str_]
    val_images: NDArray[Any] | None = None
    val_labels: NDArray[np.int64] | None = None
    files: NDArray[np.str_] | None = None  # where each image was read from: train, test, then validation images
    notes: tuple[str, ...] = ()  # what the user must know: images that were left out, stretched or blended
    source: DataFile | None = None

    def named(self) -> dict[str, Any]:
        """The arrays that a prepared file holds, by name."""
        arrays = {name: value for name, value in self._asdict().items() if value is not None and name in KEPT}
        return arrays | ({"notes": np.array(self.notes)} if self.notes else {})

    def whole(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """All images and labels: first the train part, then test, then validation. A row's number is its id."""
        parts = (self.train_images, self.test_images, self.val_images)
        filled = [part for part in parts if part is not None and len(part)]  # a single part is not copied
        return np.ascontiguousarray(filled[0] if len(filled) == 1 else np.concatenate(filled)), self.labels

    @property
    def labels(self) -> NDArray[np.int64]:
        """The labels of all images, in the order of `whole`, [N]."""
        parts = (self.train_labels, self.test_labels, self.val_labels)
        return np.concatenate([part for part in parts if part is not None])

    @property
    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The rows of `whole` that are the train, the test and the validation part, int64 each."""
        sizes = [len(self.train_labels), len(self.test_labels), 0 if self.val_labels is None else len(self.val_labels)]
        train, test, val = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        return train, test, val


def checked(
    where: object,
    arrays: Mapping[str, NDArray[Any]],
    channels: str | None = None,
    relabel: bool = False,
    values: Values = "uint8",
) -> Arrays:
    """Arrays by name, checked and put into the form above.

    Without test arrays the test part is empty. Without `classes` the classes are named by their numbers. `channels`
    "first" or "last" says which axis has the colour channels; None: the sizes say it. `relabel` numbers the labels that
    occur from 0. `values` is as in `channels_last`. Raises UsageError, which names `where` the arrays came from, what
    is wrong, and how to correct it.
    """
    if not {"test_images", "test_labels"} & {*arrays}:
        arrays = {**arrays, "test_images": np.zeros(0, np.uint8), "test_labels": np.zeros(0, np.int64)}
    parts = [part for part in ("train", "test", "val") if part != "val" or {"val_images", "val_labels"} & {*arrays}]
    wanted = [f"{part}_{kind}" for part in parts for kind in ("images", "labels")]
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise UsageError(
            f"{where} has no array {', '.join(missing)}; it needs {', '.join(wanted)}, and has "
            f"{', '.join(sorted(arrays)) or 'none'}"
        )
    images = {
        part: channels_last(where, f"{part}_images", arrays[f"{part}_images"], channels, values) for part in parts
    }
    images = _of_one_form(where, images)
    counts = {part: len(images[part]) for part in parts}
    labels, classes = numbered(where, arrays, counts, relabel)
    notes = tuple(str(note) for note in arrays.get("notes", ()))
    return Arrays(
        images["train"],
        labels["train"],
        images["test"],
        labels["test"],
        classes,
        images.get("val"),
        labels.get("val"),
        _files(where, arrays, sum(counts.values())),
        notes,
    )


def sound(arrays: Arrays) -> Arrays:
    """The arrays of a data set of one's own, their images as [N, H, W] or [N, H, W, C], their labels as int64.

    Raises UsageError as `checked`, and if a label is no class.
    """
    where = "the data set"
    names = one_array(where, "classes", arrays.classes)
    if names.ndim != 1:
        raise UsageError(f"{where}: classes has shape {list(names.shape)}; give a list of names, one for each class")
    words, times = np.unique(names.astype(np.str_), return_counts=True)
    if (times > 1).any():
        raise UsageError(f"{where}: {str(words[times > 1][0])!r} is twice in classes; give every class another name")
    most = len(names)
    no_val = arrays.val_images is None and arrays.val_labels is None
    parts = ["train", "test"] if no_val else ["train", "test", "val"]
    images: dict[str, NDArray[Any]] = {}
    labels: dict[str, NDArray[np.int64]] = {}
    for part in parts:
        held = one_array(where, f"{part}_images", getattr(arrays, f"{part}_images"))
        vectors = held.shape[1:3] == (1, 1)
        if held.ndim == 4 and held.size and not vectors and place_of_channels(*held.shape[1:]) == "first":
            raise UsageError(
                f"{where}: {part}_images is {held.shape}, so its channels seem to be first; give [N, H, W, C], "
                "as images.transpose(0, 2, 3, 1)"
            )
        values: Values = "float" if held.dtype.kind == "f" else "uint8"
        images[part] = channels_last(where, f"{part}_images", held, "last", values)
        found = one_array(where, f"{part}_labels", getattr(arrays, f"{part}_labels"))
        numbers = whole_numbers(where, f"{part}_labels", found, len(images[part]))
        if len(numbers) and not UNKNOWN <= numbers.min() <= numbers.max() < most:
            raise UsageError(no_class(f"{where}: {part}_labels", int(numbers.min()), int(numbers.max()), most))
        labels[part] = numbers
    images = _of_one_form(where, images)
    files = {} if arrays.files is None else {"files": one_array(where, "files", arrays.files)}
    changed: dict[str, Any] = {f"{part}_images": held for part, held in images.items()} | {"classes": names}
    changed |= {f"{part}_labels": held for part, held in labels.items()}
    return arrays._replace(**changed, files=_files(where, files, sum(map(len, images.values()))))


def one_array(where: object, name: str, values: Any) -> NDArray[Any]:
    """An array, a tensor or a list as an array. Raises UsageError if it is none of them, or a list of unequal parts."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UsageError(f"{where}: {name} is a list whose parts differ in size; make them equal") from error
    if array.ndim == 0:
        kind = "None" if values is None else type(values).__name__
        raise UsageError(f"{where}: {name} is {kind}; give an array or a list (empty, if there is no such part)")
    return array


def _of_one_form(where: object, images: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The images of every part. Parts without images get the form of the training images.

    Raises UsageError if there are no training images, if the images of two parts differ in size, or if some are bytes
    and others floats.
    """
    whole = images["train"]
    if not len(whole):
        raise UsageError(f"{where}: train_images is empty; put the images to choose from there")
    for part, held in images.items():
        if len(held) and held.shape[1:] != whole.shape[1:]:
            raise UsageError(f"{where}: train and {part} images differ in size; make them equal")
        if len(held) and held.dtype.kind != whole.dtype.kind:
            raise UsageError(f"{where}: train images are {whole.dtype}, {part} images {held.dtype}; give all one type")
    return {part: held if len(held) else whole[:0] for part, held in images.items()}


def _files(where: object, arrays: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.str_] | None:
    """The names of the images' files, or None if there are none. Raises UsageError if their number is wrong."""
    files = arrays.get("files")
    if files is None:
        return None
    if files.shape != (count,):
        raise UsageError(
            f"{where}: files has shape {list(files.shape)}, but there are {count} images; give one name for each, "
            "training images first, then test images, then validation images"
        )
    return text(where, "files", files)
