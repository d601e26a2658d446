"""scikit-learn's bundled digits: 1,797 real 8 x 8 images, no download."""

import numpy as np
from sklearn.datasets import load_digits

from al_runner.data.prepared import Arrays
from al_runner.data.split import Split
from al_runner.types import DataSet


def digits(data_root: str, split: Split) -> DataSet:
    """The 8 x 8 digits, grey levels 0..16 stretched to 0..255; nothing is kept below `data_root`."""
    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)
    names = np.array([str(name) for name in bunch.target_names])
    return split.apply(
        Arrays(images, bunch.target.astype(np.int64), images[:0], bunch.target[:0].astype(np.int64), names)
    )
