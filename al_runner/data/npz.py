"""The user's own arrays."""

from pathlib import Path

from al_runner.data.prepared import read
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet


def npz(data_root: str, path: str | None, split: Split) -> DataSet:
    """The file at `path`: train_images, train_labels, test_images, test_labels, and class names in `classes` if any.

    UsageError where there is no such file or its arrays are of another form; nothing is kept below `data_root`.
    """
    if not path:
        raise UsageError("dataset=npz needs dataset.path=FILE.npz")
    return split.apply(read(Path(path).expanduser()))
