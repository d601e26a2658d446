"""Data sets that a package on this machine brings along, so that no file is prepared of them."""

import numpy as np

from al_runner.data.arrays import Arrays, DataFile


def digits() -> Arrays:
    """scikit-learn's 8 x 8 digits, grey levels 0..16 stretched to 0..255."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - a second that no other data set need spend

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)
    labels, names = bunch.target.astype(np.int64), bunch.target_names.astype(np.str_)
    return Arrays(images, labels, images[:0], labels[:0], names, source=DataFile("digits"))


BUNDLED = {"digits": digits}
