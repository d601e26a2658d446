"""Image files in one folder, with their labels in a CSV file beside it."""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np

from al_runner.data.arrays import Arrays
from al_runner.data.images import fingerprint, stacked
from al_runner.data.pixels import Channels, Fit, Ground, Reading, Resize, SkipBroken, height_and_width
from al_runner.data.prepared import prepared
from al_runner.data.split import AnySplit
from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet


@options("dataset")
def image_csv(
    data_root: str,
    name: Annotated[str, Means("name of the data set, and of its prepared file")],
    path: Annotated[str | None, Means("the folder of the original files; null: <data_root>/<name>")],
    images: Annotated[str, Means("the folder of the images, below path")],
    suffix: Annotated[str, Means("end of a file's name, after the image's name")],
    labels: Annotated[str, Means("the CSV file below path that has a line for every image: name, label")],
    get: Annotated[str, Means("where missing files come from, for the error")],
    resize: Resize,
    channels: Channels,
    split: AnySplit,
    fit: Fit = "stretch",
    ground: Ground = "white",
    skip_broken: SkipBroken = False,
) -> DataSet:
    """The images `images`/NAME`suffix` below `path` (None: below `data_root`/`name`) that the file `labels` names.

    That file has one line NAME,LABEL for each image, and no header. The classes are the labels in the order of their
    names. `get` says where missing files come from. All other options are as in `folder`. A missing image counts as
    broken. Raises UsageError, with the names of files that are missing or can't be read.
    """
    how = Reading(height_and_width(resize), fit, channels, ground, skip_broken)
    root = Path(path).expanduser() if path else Path(data_root).expanduser() / name
    for part in (images, labels):
        if not (root / part).exists():
            raise UsageError(f"{name}: {root / part} is missing; {get}, and unpack it into {root}")
    named = _labels(root / labels)
    files = [root / images / f"{image}{suffix}" for image in named]
    absent = [file for file in files if not file.exists()]
    if absent and not skip_broken:
        raise UsageError(
            f"{name}: {absent[0]} is missing, and {len(absent) - 1} more of the {len(files)} that {labels} names; {get}"
        )
    make = partial(_arrays, files, list(named.values()), how)
    options = (repr(how), *named.values())
    return split.apply(prepared(data_root, f"{name}-{fingerprint(root, files, options)}", make))


def _labels(file: Path) -> dict[str, str]:
    """The label of every image by its name, in the file's order."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in csv.reader(stream) if line]
    wrong = next((number for number, line in enumerate(lines, 1) if len(line) != 2 or not all(line)), None)
    if wrong is not None or not lines:
        raise UsageError(f"{file}, line {wrong or 1}: it must be NAME,LABEL; restore the file")
    named = {name.strip(): label.strip() for name, label in lines}
    if len(named) < len(lines):
        raise UsageError(f"{file} names an image twice; remove one of the lines")
    return named


def _arrays(files: Sequence[Path], names: Sequence[str], how: Reading) -> Arrays:
    read = stacked(files, how)
    classes, numbers = np.unique([names[place] for place in read.kept], return_inverse=True)
    labels = numbers.astype(np.int64)
    return Arrays(read.images, labels, read.images[:0], labels[:0], classes, notes=read.notes)
