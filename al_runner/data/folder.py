"""The user's own images, with one sub-folder for each class."""

import logging
import os
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from al_runner.data.arrays import Arrays
from al_runner.data.images import fingerprint, stacked
from al_runner.data.parts import Listed, images_in
from al_runner.data.pixels import Channels, Fit, Ground, Reading, Resize, SkipBroken, height_and_width
from al_runner.data.prepared import prepared
from al_runner.data.split import AnySplit
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet

log = logging.getLogger(__name__)


@options("dataset")
def folder(
    data_root: str,
    path: Annotated[str | None, Means("the folder that has a sub-folder for every class")],
    resize: Resize,
    channels: Channels,
    split: AnySplit,
    fit: Fit = "stretch",
    ground: Ground = "white",
    skip_broken: SkipBroken = False,
    splits: Annotated[
        bool | None, Means("false: folders called train, val and test are classes; null: parts, if they hold classes")
    ] = None,
) -> DataSet:
    """The images below `path`, or below train/, test/ and val/ in it. Every sub-folder is a class, ordered by name.

    Images in a sub-folder called "unlabelled" have the label UNKNOWN; they belong to the training part.

    `resize` H or [H, W] scales every image; `fit` says how, if the image's shape is another one. `channels` 1 or 3
    makes all images grey or RGB; None makes all RGB if any has colour. Transparency is laid on `ground`. `skip_broken`
    leaves out images that can't be read. `splits` False: folders called train and so on are classes, too. The log says
    what is left out or changed. Raises UsageError, with the names of images or folders that can't be used.
    """
    if not path:
        raise UsageError("dataset=folder needs dataset.path=FOLDER, a folder with one sub-folder a class")
    if not Path(path).expanduser().is_dir():
        raise UsageError(f"dataset.path={path} is no folder; give dataset.path=FOLDER with one sub-folder a class")
    how = Reading(height_and_width(resize), fit, channels, ground, skip_broken)
    root = Path(path).expanduser().resolve()
    listing = images_in(root, splits)
    for note in listing.notes:
        log.warning("%s", note)
    files = [file for part in listing.parts.values() for group in part.values() for file in group]
    files += listing.unlabelled
    named = root.name[:40].replace("\\", "_")  # a prepared file's name has no backslash
    name = f"folder-{named}-{fingerprint(root, files, (repr(how), str(splits), 'named'))}"
    return split.apply(prepared(data_root, name, partial(_arrays, root, listing, how)))


def require_text(classes: NDArray[np.str_]) -> None:
    """Raises UsageError if a class can't stand in a table because its folder's name is no UTF-8."""
    strange = [os.fsencode(str(name)).decode("utf-8", "replace") for name in classes if not _is_text(str(name))]
    if strange:
        raise UsageError(f"the names of these class folders are no UTF-8: {', '.join(strange)}; rename them")


def _is_text(name: str) -> bool:
    return name == os.fsencode(name).decode("utf-8", "replace")


def _arrays(root: Path, listing: Listed, how: Reading) -> Arrays:
    """All images: those without labels, then train, test and val. Their files have paths relative to `root`."""
    parts = listing.parts
    rows = [(file, part, label) for part in parts for label, group in enumerate(parts[part].values()) for file in group]
    rows = [*((file, "train", UNKNOWN) for file in listing.unlabelled), *rows]
    read = stacked([file for file, _, _ in rows], how)
    names = np.array([*parts["train"]], np.str_)
    kept = [rows[place] for place in read.kept]
    labels = np.array([label for _, _, label in kept], dtype=np.int64)
    for part in parts:
        left = {label for _, own, label in kept if own == part}
        empty = [name for label, name in enumerate(names) if label not in left and parts[part][str(name)]]
        if empty:
            raise UsageError(f"all images of class {empty[0]} in {part} are broken; replace them or remove the class")
    # The parts come one after another, so each is a slice of all images.
    counts = [sum(own == part for _, own, _ in kept) for part in ("train", "test", "val")]
    train, test, val = (slice(end - count, end) for count, end in zip(counts, np.cumsum(counts), strict=True))
    require_text(names)
    # A name that is no UTF-8 can't stand in a table: its strange bytes become question marks.
    files = np.array([os.fsencode(file.relative_to(root)).decode("utf-8", "replace") for file, _, _ in kept])
    arrays = Arrays(
        read.images[train], labels[train], read.images[test], labels[test], names, files=files, notes=read.notes
    )
    return arrays._replace(val_images=read.images[val], val_labels=labels[val]) if "val" in parts else arrays
