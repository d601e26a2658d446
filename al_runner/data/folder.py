"""The user's own images, one sub-folder a class."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from al_runner.data.arrays import Arrays
from al_runner.data.images import fingerprint, stacked
from al_runner.data.parts import Listing, listed
from al_runner.data.pixels import Reading, height_and_width
from al_runner.data.prepared import prepared
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet

log = logging.getLogger(__name__)


def folder(
    data_root: str,
    path: str | None,
    resize: int | Sequence[int] | None,
    channels: int | None,
    split: Split,
    fit: str = "stretch",
    ground: str = "white",
    skip_broken: bool = False,
    splits: bool | None = None,
) -> DataSet:
    """The images below `path`, a sub-folder a class in the order of its name, or in train/, test/ and val/.

    `resize` H or [H, W] scales every image, and `fit` says how where its shape is another; `channels` 1 or 3 makes all
    grey or RGB, None makes all RGB if any has colour; transparency is laid on `ground`; `skip_broken` leaves out what
    can't be read; `splits` False says that folders called train and so on are classes too. What is left out or changed
    is logged. UsageError names the images or the folder that can't be used.
    """
    if not path or not Path(path).expanduser().is_dir():
        raise UsageError(f"dataset.path={path} is no folder; give dataset.path=FOLDER with one sub-folder a class")
    how = Reading(height_and_width(resize), fit, channels, ground, skip_broken)
    root = Path(path).expanduser().resolve()
    found = listed(root, splits)
    for note in found.notes:
        log.warning("%s", note)
    files = [file for part in found.parts.values() for group in part.values() for file in group]
    name = f"folder-{root.name[:40]}-{fingerprint(root, files, (repr(how), str(splits)))}"
    return split.apply(prepared(data_root, name, partial(_arrays, found.parts, how)))


def _arrays(parts: Mapping[str, Listing], how: Reading) -> Arrays:
    """All images, read in the order train, test, val."""
    rows = [(file, part, label) for part in parts for label, group in enumerate(parts[part].values()) for file in group]
    read = stacked([file for file, _, _ in rows], how)
    names = np.array([*parts["train"]])
    kept = [rows[place] for place in read.kept]
    labels = np.array([label for _, _, label in kept], dtype=np.int64)
    for part in parts:
        left = {label for _, own, label in kept if own == part}
        empty = [name for label, name in enumerate(names) if label not in left]
        if empty:
            raise UsageError(f"all images of class {empty[0]} in {part} are broken; replace them or remove the class")
    # One part after another, so that each is a slice of all.
    counts = [sum(own == part for _, own, _ in kept) for part in ("train", "test", "val")]
    train, test, val = (slice(end - count, end) for count, end in zip(counts, np.cumsum(counts), strict=True))
    held = Arrays(read.images[train], labels[train], read.images[test], labels[test], names, notes=read.notes)
    return held._replace(val_images=read.images[val], val_labels=labels[val]) if "val" in parts else held
