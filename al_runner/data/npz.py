"""The user's own arrays, in one .npz file."""

from pathlib import Path
from typing import Annotated, Literal

from al_runner.data.archive import read, sha256
from al_runner.data.arrays import DataFile
from al_runner.data.layout import Values
from al_runner.data.split import AnySplit, Relabel
from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet


@options("dataset")
def npz(
    data_root: str,
    path: Annotated[str | None, Means("the file of your arrays")],
    split: AnySplit,
    channels: Annotated[
        Literal["first", "last"] | None, Means("which axis of an image has its colour channels; null: the sizes say it")
    ] = None,
    relabel: Relabel = False,
    values: Annotated[Values, Means("the images' numbers: uint8, or float, which keeps any numbers as they are")] = (
        "uint8"
    ),
) -> DataSet:
    """The file at `path`: train_images, train_labels, and, if any, test_images, test_labels, val_images and val_labels.

    The array `classes`, if any, names the classes. `channels` "first" or "last" says which axis has the colour channels
    if the sizes do not say it. `relabel` numbers the labels that occur from 0 and keeps their names. With `values`
    "float" images are float32, or float16 if they are that in the file. Nothing is written below `data_root`. Raises
    UsageError if the file is missing or its arrays have another form.
    """
    if not path:
        raise UsageError("dataset=npz needs dataset.path=FILE.npz")
    file = Path(path).expanduser()
    arrays = read(file, channels, relabel, values)
    return split.apply(arrays._replace(source=DataFile(file.name, sha256(file), channels, relabel, values)))
