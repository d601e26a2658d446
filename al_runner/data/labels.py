"""Labels as numbers from 0, one for each class.

N images, Y classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_runner.errors import UsageError

NAMED = 5  # classes of an error message


def numbered(
    where: object, found: Mapping[str, NDArray[Any]], counts: Mapping[str, int], relabel: bool
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.str_]]:
    """The labels of every part, int64 [N] in 0 .. Y-1, and the classes' names.

    `counts` are the images of every part, whose labels are `found` under its name. Labels that are words become classes
    in the order of their names. UsageError where one is missing, not a whole number, or a class has no image.
    """
    parts = {part: _column(where, f"{part}_labels", found[f"{part}_labels"], count) for part, count in counts.items()}
    held = [labels for labels in parts.values() if len(labels)]
    if len({labels.dtype.kind == "U" for labels in held}) > 1:
        raise UsageError(f"{where}: some labels are words, others numbers; make all of one kind")
    values, places = np.unique(np.concatenate(held), return_inverse=True)
    names = found.get("classes")
    if names is not None and (names.ndim != 1 or len(np.unique(names)) < len(names)):
        raise UsageError(f"{where}: classes is {names.dtype} {names.shape}; a list of different names is wanted")
    order, classes = _classes(where, values, None if names is None else names.astype(np.str_), relabel)
    ends = np.cumsum([len(labels) for labels in parts.values()])[:-1]
    return dict(zip(parts, np.split(order[places.reshape(-1)], ends), strict=True)), classes


def _column(where: object, name: str, labels: NDArray[Any], count: int) -> NDArray[Any]:
    """The labels as [N] whole numbers or words."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if not labels.size and not count:
        return np.zeros(0, np.int64)
    if labels.dtype.kind in "SU" and labels.shape == (count,):
        return labels.astype(np.str_)
    if labels.dtype.kind in "biu" and labels.shape == (count,):
        return labels.astype(np.int64)
    remedy = ""
    if labels.dtype.kind == "f" and labels.shape == (count,):
        remedy = "; write labels.astype('int64')"
        if not np.isfinite(labels).all():
            remedy = "; some are NaN or infinite: leave images without a label out"
        elif (labels != labels.round()).any():
            remedy = "; some are fractions"
    elif labels.ndim == 2 and len(labels) == count:
        remedy = "; of a column a class, labels.argmax(1) makes them"
    raise UsageError(f"{where}: {name} is {labels.dtype} {labels.shape}; {count} integers are wanted{remedy}")


def _classes(
    where: object, values: NDArray[Any], names: NDArray[np.str_] | None, relabel: bool
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """The number of the class of each of the labels that there are, sorted and different, and all classes' names."""
    if values.dtype.kind == "U":
        return _of_words(where, values, names, relabel)
    low, high = int(values[0]), int(values[-1])
    if relabel:
        inside = names is not None and low >= 0 and high < len(names)
        if names is not None and not inside and len(names) != len(values):
            raise UsageError(
                f"{where}: the labels are {len(values)} different numbers of {low} .. {high}, and classes are "
                f"{len(names)} names; name as many as there are, in the order of the labels"
            )
        kept = values.astype(np.str_) if names is None else names[values] if inside else names
        return np.arange(len(values)), kept
    most = high + 1 if names is None else len(names)
    if low < 0 or high >= most:
        raise UsageError(
            f"{where}: labels are {low} .. {high}; 0 .. {most - 1} is wanted, one for each class: "
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
            f"{where}: {_listed(strange, len(strange))} is among the labels or among the classes, but not among both; "
            "make them equal, or leave classes out"
        )
    return np.argsort(names), names


def _listed(names: Sequence[object], count: int) -> str:
    """The first few names, and how many more there are of `count`."""
    shown = ", ".join(repr(name) if isinstance(name, str) else str(name) for name in names[:NAMED])
    return shown if count <= NAMED else f"{shown} and {count - NAMED} more"
