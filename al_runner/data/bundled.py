"""Data sets that a package on this machine brings along, so that no file is prepared of them."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from al_runner.data.arrays import Arrays, DataFile

DIGITS = "sklearn/datasets/data/digits.csv.gz"


def digits() -> Arrays:
    """scikit-learn's 8 x 8 digits, grey levels 0..16 stretched to 0..255."""
    table = _digits_table()
    images = (table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    labels, names = table[:, -1].astype(np.int64), np.arange(10).astype(np.str_)
    return Arrays(images, labels, images[:0], labels[:0], names, source=DataFile("digits"))


def _digits_table() -> NDArray[np.float64]:
    """64 grey levels and the digit of every image, [1797, 65].

    scikit-learn's file is read without scikit-learn, whose import takes a second. A version of it that keeps the file
    in another place is asked for it.
    """
    file = Path(str(distribution("scikit-learn").locate_file(DIGITS)))
    if file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits  # noqa: PLC0415 - only here it is worth its second

    return np.column_stack(load_digits(return_X_y=True))


BUNDLED = {"digits": digits}
