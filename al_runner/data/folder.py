"""The user's own images, one sub-folder a class."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from al_runner.data.prepared import Arrays, prepared
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def folder(
    data_root: str, path: str | None, resize: Sequence[int] | None, channels: int | None, split: Split
) -> DataSet:
    """The images below `path`, a sub-folder a class in the order of its name, or train/ and test/ with those inside.

    `resize` [H, W] scales every image; `channels` 1 or 3 makes all grey or RGB, None takes grey where the first image
    is. UsageError names the image or folder that can't be used.
    """
    if not path or not Path(path).expanduser().is_dir():
        raise UsageError(f"dataset.path={path} is no folder; give dataset.path=FOLDER with one sub-folder a class")
    if channels not in (None, 1, 3):
        raise UsageError(f"dataset.channels is {channels}; choose 1, 3 or null")
    root = Path(path).expanduser().resolve()
    parts = ("train", "test") if all((root / part).is_dir() for part in ("train", "test")) else (".",)
    listings = [_listing(root / part) for part in parts]
    if len(listings) == 2 and list(listings[0]) != list(listings[1]):
        raise UsageError(f"{root}: train/ and test/ hold different classes; give both the same sub-folders")
    make = partial(_arrays, listings, resize, channels)
    return split.apply(prepared(data_root, _name(root, listings, resize, channels), make))


def _listing(root: Path) -> dict[str, list[Path]]:
    """Image files by class name, both in order."""
    classes = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    if len(classes) < 2:
        raise UsageError(f"{root} has {len(classes)} sub-folders; one for each of two or more classes is wanted")
    listing = {
        child.name: sorted(file for file in child.rglob("*") if file.suffix.lower() in SUFFIXES) for child in classes
    }
    empty = [name for name, files in listing.items() if not files]
    if empty:
        raise UsageError(
            f"{root / empty[0]} holds no image ({', '.join(SUFFIXES)}); fill the class or remove its folder"
        )
    return listing


def _name(root: Path, listings: list[dict[str, list[Path]]], resize: Sequence[int] | None, channels: int | None) -> str:
    """A name that changes with the folder's place, its files and the options."""
    facts = [str(root), str(resize), str(channels)]
    for listing in listings:
        for files in listing.values():
            facts += [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return f"folder-{root.name}-{digest[:12]}"


def _arrays(listings: list[dict[str, list[Path]]], resize: Sequence[int] | None, channels: int | None) -> Arrays:
    first = next(iter(listings[0].values()))[0]
    mode = {1: "L", 3: "RGB"}[channels or (1 if _read(first, None, None).ndim == 2 else 3)]
    parts = []
    for listing in listings:
        files = [file for group in listing.values() for file in group]
        images = [_read(file, resize, mode) for file in files]
        for file, image in zip(files, images, strict=True):
            if image.shape != images[0].shape:
                raise UsageError(
                    f"{files[0]} is {_size(images[0])}, {file} is {_size(image)}; "
                    "make all images one size, or set dataset.resize=[H,W]"
                )
        labels = [label for label, group in enumerate(listing.values()) for _ in group]
        parts.append((np.stack(images), np.array(labels, dtype=np.int64)))
    (train_images, train_labels), (test_images, test_labels) = (
        parts if len(parts) == 2 else (parts[0], _none(*parts[0]))
    )
    return Arrays(train_images, train_labels, test_images, test_labels, np.array(list(listings[0])))


def _read(file: Path, resize: Sequence[int] | None, mode: str | None) -> NDArray[np.uint8]:
    """[H, W] or [H, W, 3]; without `mode`, grey images stay grey and all others become RGB."""
    try:
        with Image.open(file) as image:
            converted = image.convert(mode or ("L" if image.mode in ("1", "L", "I", "I;16", "F") else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise UsageError(f"{file} can't be read as an image ({error}); replace or remove it") from error
    if resize is not None:
        height, width = resize
        converted = converted.resize((width, height))
    return np.asarray(converted, dtype=np.uint8)


def _none(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return images[:0], labels[:0]


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"
