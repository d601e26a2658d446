"""What each run bought, from its acquired.csv and predicted.csv, and how balanced and redundant its purchases are.

N images, Y classes, D numbers for each image.
"""

from collections.abc import Mapping
from math import log
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from al_runner.analysis.stats.intervals import Floats
from al_runner.analysis.table.rows import Parser, count, number, read_columns
from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS

ROWS = 1000  # the number of images that are compared with all others at once
BLOCK = 8  # images are shrunk to at most 8 x 8 before they are compared


def purchases(folder: Path) -> pd.DataFrame | None:
    """A run's purchases in order: round, id, label, prediction and confidence. None if there is no acquired.csv.

    `prediction` is what the model predicted before the label was bought, and `confidence` is its probability; both are
    NaN if they are unknown. Images of no class (pool=open_set) are left out. Raises UsageError if a file is damaged.
    """
    try:
        bought = _read(folder / "acquired.csv", {"round": count, "id": count, "label": _label})
    except FileNotFoundError:
        return None
    _require_once(bought, "id", folder / "acquired.csv")
    bought = bought[bought["label"] != OF_NO_CLASS]
    file = folder / "predicted.csv"
    try:
        predicted = _read(file, {"round": count, "id": count, "prediction": count, "confidence": _share})
    except FileNotFoundError:
        return bought.assign(prediction=np.nan, confidence=np.nan)
    _require_once(predicted, "id", file)
    return bought.merge(predicted, on=["round", "id"], how="left")


def _read(file: Path, columns: Mapping[str, Parser]) -> pd.DataFrame:
    return pd.DataFrame(read_columns(file, columns), columns=list(columns))


def _require_once(table: pd.DataFrame, column: str, file: Path) -> None:
    twice = table[column][table[column].duplicated()]
    if len(twice):
        raise UsageError(f"{file} has {column} {twice.iloc[0]} twice; restore it from a copy")


def _label(text: str) -> int:
    return OF_NO_CLASS if text == str(OF_NO_CLASS) else count(text)


def _share(text: str) -> float:
    value = number(text)
    if not 0 <= value <= 1:
        raise ValueError("no probability")
    return value


def class_balance(bought: pd.DataFrame, classes: int) -> Floats:
    """Entropy of the labels bought by the end of every round, divided by log Y, [rounds].

    It is 1 if all classes have equal shares, and 0 if all labels are of one class.
    """
    ordered = bought.sort_values("round", kind="stable")
    before = ordered.groupby("label").cumcount().to_numpy(dtype=np.float64)  # earlier images of the same label
    terms = np.cumsum(xlogy(before + 1, before + 1) - xlogy(before, before))  # the sum of n log n over the labels
    ends = np.cumsum(ordered.groupby("round").size().to_numpy())
    entropies = np.log(ends) - terms[ends - 1] / ends
    return np.asarray(np.maximum(entropies, 0) / log(max(classes, 2)))


def nearest_distance(bought: pd.DataFrame, small: Mapping[int, Floats] | Floats) -> Floats:
    """The mean distance of every round's images to the nearest other image that has a label by then, [rounds].

    The distance is the root mean square of the differences. `small` are the images by id, [D] each, with values 0 ..
    255. A low value means that the purchase was redundant. It is NaN if there is no other image.
    """
    x = np.stack([small[id_] for id_ in bought["id"]]).astype(np.float32)
    squares = (x**2).sum(axis=1)
    rounds = bought["round"].to_numpy()
    means = []
    for round_ in np.unique(rounds):
        all_new, known = np.flatnonzero(rounds == round_), np.flatnonzero(rounds <= round_)
        least = []
        for new in np.array_split(all_new, -(-len(all_new) // ROWS)):
            squared = squares[new, None] + squares[known] - 2 * x[new] @ x[known].T
            squared[known[None, :] == new[:, None]] = np.inf  # itself
            least.append(squared.min(axis=1))
        nearest = np.sqrt(np.maximum(np.concatenate(least), 0) / x.shape[1])
        means.append(nearest[np.isfinite(nearest)].mean() if np.isfinite(nearest).any() else np.nan)
    return np.array(means, dtype=np.float64)


def shrunk(images: NDArray[np.uint8]) -> Floats:
    """Images averaged over blocks down to at most 8 x 8 pixels, [N, H, W(, C)] -> [N, D]."""
    height, width = images.shape[1:3]
    down, across = max(1, height // BLOCK), max(1, width // BLOCK)
    cut = images[:, : height // down * down, : width // across * across].astype(np.float64)
    shape = (len(images), height // down, down, width // across, across, -1)
    return np.asarray(cut.reshape(shape).mean(axis=(2, 4)).reshape(len(images), -1))
