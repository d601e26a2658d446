"""scikit-learn's bundled digits: 1,797 real 8 x 8 images, no download."""

from typing import Annotated

import numpy as np
from pydantic import InstanceOf

from al_runner.data.arrays import Arrays
from al_runner.data.split import Split
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet


@options("dataset")
def digits(
    data_root: str, split: Annotated[InstanceOf[Split], Means("which images are for training, validation and test")]
) -> DataSet:
    """The 8 x 8 digits. Grey levels 0 .. 16 become 0 .. 255. Nothing is written below `data_root`."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a second, which other data sets need not wait for

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    return split.apply(Arrays(images, labels, images[:0], labels[:0], bunch.target_names.astype(np.str_)))
