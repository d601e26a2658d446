"""What each run bought, from its acquired.csv and predicted.csv, and how balanced and how redundant that is.

N images, Y classes, D numbers an image.
"""

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_runner.analysis.stats.intervals import Floats
from al_runner.errors import UsageError

BLOCK = 8  # images are shrunk to at most 8 x 8 before they are compared


def purchases(folder: Path) -> pd.DataFrame | None:
    """A run's purchases in order: round, id, label, prediction, confidence (NaN where unknown); None without the file.

    `prediction` and `confidence` (its probability) are the model's, before the label was bought.
    """
    file = folder / "acquired.csv"
    if not file.is_file():
        return None
    bought = _read(file, ("round", "id", "label"))
    said = folder / "predicted.csv"
    if not said.is_file():
        return bought.assign(prediction=np.nan, confidence=np.nan)
    return bought.merge(_read(said, ("round", "id", "prediction", "confidence")), on=["round", "id"], how="left")


def _read(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(file)[list(columns)].apply(pd.to_numeric)
        return table
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{file} can't be read ({' '.join(str(error).split())}); restore it from a copy") from error


def class_balance(bought: pd.DataFrame, classes: int) -> Floats:
    """Entropy of the labels bought by the end of every round over log Y: 1 for equal shares, 0 for a single class."""
    counts = pd.crosstab(bought["round"], bought["label"]).cumsum().to_numpy(dtype=np.float64)
    shares = counts / counts.sum(axis=1, keepdims=True)
    terms = np.where(shares > 0, -shares * np.log(np.where(shares > 0, shares, 1)), 0)
    return np.asarray(terms.sum(axis=1) / log(max(classes, 2)))


def nearest_distance(bought: pd.DataFrame, small: Mapping[int, Floats] | Floats) -> Floats:
    """Mean root-mean-square distance of every round's images to the nearest other image labelled by then.

    `small` are the images by id, [D] each, on a scale of 0 to 255. Low values are a redundant purchase. NaN where there
    is nothing to compare with.
    """
    x = np.stack([small[id_] for id_ in bought["id"]]).astype(np.float32)
    squares = (x**2).sum(axis=1)
    rounds = bought["round"].to_numpy()
    found = []
    for round_ in np.unique(rounds):
        new, known = np.flatnonzero(rounds == round_), np.flatnonzero(rounds <= round_)
        squared = squares[new, None] + squares[known] - 2 * x[new] @ x[known].T
        squared[known[None, :] == new[:, None]] = np.inf  # itself
        nearest = np.sqrt(np.maximum(squared.min(axis=1), 0) / x.shape[1])
        found.append(nearest[np.isfinite(nearest)].mean() if np.isfinite(nearest).any() else np.nan)
    return np.array(found, dtype=np.float64)


def shrunk(images: NDArray[np.uint8]) -> Floats:
    """Images averaged over blocks down to at most 8 x 8 pixels, [N, H, W(, C)] -> [N, D]."""
    height, width = images.shape[1:3]
    down, across = max(1, height // BLOCK), max(1, width // BLOCK)
    cut = images[:, : height // down * down, : width // across * across].astype(np.float64)
    shape = (len(images), height // down, down, width // across, across, -1)
    return np.asarray(cut.reshape(shape).mean(axis=(2, 4)).reshape(len(images), -1))
