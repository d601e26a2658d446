"""The user's own arrays."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import InstanceOf

from al_runner.data.archive import read
from al_runner.data.layout import Values
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet


@options("dataset")
def npz(
    data_root: str,
    path: Annotated[str | None, Means("the file")],
    split: Annotated[InstanceOf[Split], Means("who is trained, validated and tested on")],
    channels: Annotated[
        Literal["first", "last"] | None, Means("where an image's colour channels are; null: as the sizes tell")
    ] = None,
    relabel: Annotated[
        bool, Means("number the labels that there are anew from 0; their old values or names name the classes")
    ] = False,
    values: Annotated[Values, Means("the images' numbers: uint8, or float, which keeps any numbers as they are")] = (
        "uint8"
    ),
) -> DataSet:
    """The file at `path`: train_images, train_labels, and, if any, test_images, test_labels, val_images and val_labels.

    Class names are in `classes`, if any. `channels` "first" or "last" says where colour channels are, where the sizes
    leave it open; `relabel` numbers the labels that there are anew from 0, and keeps their names; with `values` "float"
    images are float32, or float16 where they are. Nothing is kept below `data_root`. UsageError where there is no such
    file or its arrays are of another form.
    """
    if not path:
        raise UsageError("dataset=npz needs dataset.path=FILE.npz")
    return split.apply(read(Path(path).expanduser(), channels, relabel, values))
