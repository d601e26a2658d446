"""The user's own images, one sub-folder a class."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from al_runner.data.arrays import Arrays
from al_runner.data.images import SUFFIXES, fingerprint, stacked
from al_runner.data.prepared import prepared
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet

Listing = dict[str, list[Path]]  # image files by class name, both in order


def folder(
    data_root: str, path: str | None, resize: Sequence[int] | None, channels: int | None, split: Split
) -> DataSet:
    """The images below `path`, a sub-folder a class in the order of its name, or train/ and test/ with those inside.

    `resize` [H, W] scales every image; `channels` 1 or 3 makes all grey or RGB, None makes all RGB if any has colour.
    UsageError names the image or folder that can't be used.
    """
    if not path or not Path(path).expanduser().is_dir():
        raise UsageError(f"dataset.path={path} is no folder; give dataset.path=FOLDER with one sub-folder a class")
    if channels not in (None, 1, 3):
        raise UsageError(f"dataset.channels is {channels}; choose 1, 3 or null")
    if resize is not None and (len(resize) != 2 or min(resize) < 1):
        raise UsageError(f"dataset.resize is {list(resize)}; give height and width, as in dataset.resize=[32,32]")
    root = Path(path).expanduser().resolve()
    split_already = all((root / part).is_dir() for part in ("train", "test"))
    listings = [_listing(root / part) for part in (("train", "test") if split_already else (".",))]
    if split_already and list(listings[0]) != list(listings[1]):
        raise UsageError(f"{root}: train/ and test/ hold different classes; give both the same sub-folders")
    make = partial(_arrays, listings, resize, channels)
    return split.apply(prepared(data_root, _name(root, listings, resize, channels), make))


def _listing(root: Path) -> Listing:
    classes = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    if len(classes) < 2:
        raise UsageError(f"{root}: {len(classes)} class folders found; give two or more, one for each class")
    if any(child.name == "train" for child in classes):
        raise UsageError(f"{root} has train/ but no test/; add test/, or give dataset.path={root / 'train'}")
    listing = {child.name: _image_files(child) for child in classes}
    empty = [name for name, files in listing.items() if not files]
    if empty:
        raise UsageError(
            f"{root / empty[0]} holds no image ({', '.join(SUFFIXES)}); fill the class or remove its folder"
        )
    return listing


def _image_files(root: Path) -> list[Path]:
    """Other files are ignored, and so are hidden ones, such as the ._name.png that macOS adds to archives."""
    return sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))


def _name(root: Path, listings: list[Listing], resize: Sequence[int] | None, channels: int | None) -> str:
    """A name that changes with the folder's place, its files and the options."""
    files = [file for listing in listings for group in listing.values() for file in group]
    return f"folder-{root.name[:40]}-{fingerprint(root, files, (str(resize), str(channels)))}"


def _arrays(listings: list[Listing], resize: Sequence[int] | None, channels: int | None) -> Arrays:
    files = [[file for group in listing.values() for file in group] for listing in listings]
    labels = [label for listing in listings for label, group in enumerate(listing.values()) for _ in group]
    images = stacked([file for part in files for file in part], resize, channels)
    train, numbers = len(files[0]), np.array(labels, dtype=np.int64)
    return Arrays(images[:train], numbers[:train], images[train:], numbers[train:], np.array(list(listings[0])))
