"""scikit-learn's bundled digits: 1,797 real 8 x 8 images, no download."""

from al_runner.data import bundled
from al_runner.data.split import AnySplit
from al_runner.settings.declare import options
from al_runner.types import DataSet


@options("dataset")
def digits(data_root: str, split: AnySplit) -> DataSet:
    """The 8 x 8 digits. Grey levels 0 .. 16 become 0 .. 255. Nothing is written below `data_root`."""
    return split.apply(bundled.digits())
