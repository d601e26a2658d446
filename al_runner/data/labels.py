"""Labels as numbers from 0, one for each class.

N images, Y classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN

NAMED = 5  # classes that an error message names


def numbered(
    where: object, found: Mapping[str, NDArray[Any]], counts: Mapping[str, int], relabel: bool
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.str_]]:
    """The labels of every part, int64 [N] in 0 .. Y-1 or UNKNOWN, and the classes' names.

    `counts` are the numbers of images of every part. `found` holds the arrays by name: train_labels, classes and so on.
    If labels are words, the classes are in the order of these words. `relabel` numbers the labels that occur from 0;
    UNKNOWN then is a class if it is one of two labels, or if it is a label outside the training part.
    Raises UsageError if a label is missing or is no whole number, or if a class has no image.
    """
    parts = {part: _column(where, f"{part}_labels", found[f"{part}_labels"], count) for part, count in counts.items()}
    held = [labels for labels in parts.values() if len(labels)]
    if len({labels.dtype.kind == "U" for labels in held}) > 1:
        raise UsageError(f"{where}: some labels are words, others numbers; make all of one kind")
    values, places = np.unique(np.concatenate(held), return_inverse=True)
    names = found.get("classes")
    if names is not None and (names.ndim != 1 or len(np.unique(names)) < len(names)):
        raise UsageError(f"{where}: classes is {names.dtype} {names.shape}; it must be a list of different names")
    missing = relabel and len(values) > 2 and _only_in_training(UNKNOWN, parts)
    order, classes = _classes(
        where, values[missing:], None if names is None else text(where, "classes", names), relabel
    )
    order = np.concatenate([[UNKNOWN], order]) if missing else order
    ends = np.cumsum([len(labels) for labels in parts.values()])[:-1]
    return dict(zip(parts, np.split(order[places.reshape(-1)], ends), strict=True)), classes


def _only_in_training(label: int, parts: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a number is a label of the training part, and of no other part."""
    having = [part for part, labels in parts.items() if labels.dtype.kind != "U" and (labels == label).any()]
    return having == ["train"]


def _column(where: object, name: str, labels: NDArray[Any], count: int) -> NDArray[Any]:
    """The labels as [N] whole numbers or words."""
    labels = _flat(labels)
    if not labels.size and not count:
        return np.zeros(0, np.int64)
    if labels.dtype.kind in "SU" and labels.shape == (count,):
        words = text(where, name, labels)
        blank = [row for row, word in enumerate(words.tolist()) if not word.strip()]
        if blank:
            raise UsageError(
                f"{where}: {len(blank)} of {name} are blank, the first in row {blank[0]}; leave images without a label "
                "out"
            )
        return words
    return whole_numbers(where, name, labels, count)


def _flat(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels [N, 1] as [N]; others as they are."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def text(where: object, name: str, words: NDArray[Any]) -> NDArray[np.str_]:
    """Words as text; byte strings are UTF-8. Raises UsageError if they are not."""
    try:
        return np.char.decode(words, "utf-8") if words.dtype.kind == "S" else words.astype(np.str_)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: {name} has byte strings that are no UTF-8; write them as text") from error


def whole_numbers(where: object, name: str, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Labels as int64 [`count`]. Raises UsageError if they are no whole numbers, or if there are more or fewer."""
    labels = _flat(labels)
    if not labels.size and not count:
        return np.zeros(0, np.int64)
    if labels.dtype.kind in "biu" and labels.shape == (count,):
        return labels.astype(np.int64)
    remedy = ""
    if labels.dtype.kind == "f" and labels.shape == (count,):
        remedy = "; write labels.astype('int64')"
        if not np.isfinite(labels).all():
            remedy = "; some are NaN or infinite: leave images without a label out"
        elif (labels != labels.round()).any():
            remedy = "; some are fractions"
    elif labels.dtype.kind in "SUO" and labels.shape == (count,):
        remedy = "; for words, classes, labels = np.unique(labels, return_inverse=True) numbers them"
    elif labels.ndim == 2 and len(labels) == count:
        remedy = "; if there is one column for each class, write labels.argmax(1)"
    raise UsageError(f"{where}: {name} is {labels.dtype} {labels.shape}; it must be {count} integers{remedy}")


def no_class(labels: object, low: int, high: int, count: int) -> str:
    """The error for `labels` of `low` .. `high`, of which some are none of `count` classes."""
    return (
        f"{labels} are {low} .. {high}; they must be 0 .. {count - 1}, one for each of the {count} classes, or "
        f"{UNKNOWN} for an image without a label"
    )


def _classes(
    where: object, values: NDArray[Any], names: NDArray[np.str_] | None, relabel: bool
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """The class number of every label that occurs (`values`, sorted, without repeats), and the names of all classes."""
    if values.dtype.kind == "U":
        return _of_words(where, values, names, relabel)
    if values[0] == UNKNOWN and not relabel:
        return values, _of_some(where, values[1:], names)
    low, high = int(values[0]), int(values[-1])
    if relabel:
        inside = names is not None and low >= 0 and high < len(names)
        if names is not None and not inside and len(names) != len(values):
            raise UsageError(
                f"{where}: the labels are {len(values)} different numbers from {low} to {high}, but classes has "
                f"{len(names)} names; give one name for each label, in the order of the labels"
            )
        kept = values.astype(np.str_) if names is None else names[values] if inside else names
        return np.arange(len(values)), kept
    most = high + 1 if names is None else len(names)
    if low < 0 or high >= most:
        raise UsageError(
            f"{where}: labels are {low} .. {high}; they must be 0 .. {most - 1}, one for each class: "
            "relabel them, or set dataset.relabel=true (dataset=npz, embeddings)"
        )
    if len(values) < most:
        empty = np.setdiff1d(np.arange(min(most, len(values) + NAMED)), values)
        shown = empty if names is None else names[empty]
        raise UsageError(
            f"{where}: no image is of class {_listed(shown.tolist(), most - len(values))}, labels are {low} .. {high}; "
            f"relabel them 0 .. {len(values) - 1}, or set dataset.relabel=true (dataset=npz, embeddings)"
        )
    return values, np.arange(most).astype(np.str_) if names is None else names


def _of_some(where: object, known: NDArray[np.int64], names: NDArray[np.str_] | None) -> NDArray[np.str_]:
    """All classes' names where some images have no label yet, so that a class may have no image so far."""
    if names is None:
        return _classes(where, known, None, relabel=False)[1] if len(known) else np.array([], np.str_)
    if len(known) and not 0 <= known[0] <= known[-1] < len(names):
        raise UsageError(
            f"{where}: labels are {known[0]} .. {known[-1]}; they must be 0 .. {len(names) - 1}, one for each class, "
            f"and {UNKNOWN} for an image without a label"
        )
    return names


def _of_words(
    where: object, values: NDArray[np.str_], names: NDArray[np.str_] | None, relabel: bool
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    if names is None:
        return np.arange(len(values)), values
    if relabel:
        names = names[np.isin(names, values)]
    strange = sorted({*values.tolist()} ^ {*names.tolist()})
    if strange:
        raise UsageError(
            f"{where}: {_listed(strange, len(strange))} is only in the labels or only in classes; "
            "give both the same names, or leave classes out"
        )
    return np.argsort(names), names


def _listed(names: Sequence[object], count: int) -> str:
    """The first five of `count` names, and the number of the others."""
    shown = ", ".join(repr(name) if isinstance(name, str) else str(name) for name in names[:NAMED])
    return shown if count <= NAMED else f"{shown} and {count - NAMED} more"
