"""The user's own arrays."""

from pathlib import Path

from al_runner.data.archive import read
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet


def npz(data_root: str, path: str | None, split: Split, channels: str | None = None, relabel: bool = False) -> DataSet:
    """The file at `path`: train_images, train_labels, test_images, test_labels, and, if any, val_images and val_labels.

    Class names are in `classes`, if any. `channels` "first" or "last" says where colour channels are, where the sizes
    leave it open; `relabel` numbers the labels that there are anew from 0, and keeps their names. Nothing is kept below
    `data_root`. UsageError where there is no such file or its arrays are of another form.
    """
    if not path:
        raise UsageError("dataset=npz needs dataset.path=FILE.npz")
    return split.apply(read(Path(path).expanduser(), channels, relabel))
