"""Image files read into one array.

N images of H x W pixels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from al_runner.data.archive import one_line
from al_runner.data.pixels import Picture, Reading, TooDeep, picture
from al_runner.errors import UsageError

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
NAMED = 10  # files of an error message
SHAPE_KEPT = 1.02  # of two sides scaled so unequally at most, nobody sees it


class Stacked(NamedTuple):
    """Image files as one array, which of them are in it, and what their user must know."""

    images: NDArray[np.uint8]  # [N, H, W] if grey or [N, H, W, 3]
    kept: list[int]  # places in the list of files
    notes: tuple[str, ...]


def stacked(files: Sequence[Path], how: Reading) -> Stacked:
    """All `files` in their order, without broken ones where `how` says so.

    UsageError names the files that can't be read, or two of different sizes.
    """
    pictures: list[Picture] = []
    kept: list[int] = []
    broken: list[str] = []
    deep: list[str] = []
    for place, file in enumerate(files):
        try:
            pictures.append(picture(file, how))
            kept.append(place)
        except TooDeep as error:
            deep.append(f"{file} ({error})")
        except Exception as error:  # damage raises whatever Pillow's decoder of that format meets first
            broken.append(f"{file} ({_reason(error)})")
    _require_usable(broken if not how.skip_broken else [], deep, len(files))
    if not pictures:
        raise UsageError(f"all {len(files)} images are broken: {_first(broken)}; replace them")
    _require_one_size([files[place] for place in kept], pictures)
    notes = [*_notes(pictures, how)]
    if broken:
        notes.insert(0, f"{len(broken)} of {len(files)} images can't be read and are left out: {_first(broken)}")
    return Stacked(_array(pictures), kept, tuple(notes))


def fingerprint(root: Path, files: Sequence[Path], options: Sequence[str]) -> str:
    """Twelve characters that change with the folder's place, its files' names, sizes and times, and the options."""
    facts = [str(root), *options, *map(_facts, files)]
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()[:12]


def _facts(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:
        return f"{file} absent"
    return f"{file} {found.st_size} {found.st_mtime_ns}"


def _require_usable(broken: list[str], deep: list[str], count: int) -> None:
    """UsageError where there are any, all of them named, or the first few and their number."""
    told = []
    if broken:
        told.append(
            f"{len(broken)} of {count} images can't be read: {_first(broken)}; replace or remove them, "
            "or leave them out with dataset.skip_broken=true"
        )
    if deep:
        told.append(
            f"{len(deep)} of {count} images have more than 8 bits a channel: {_first(deep)}; save them with 8, "
            "scaled to 0 .. 255"
        )
    if told:
        raise UsageError("; ".join(told))


def _require_one_size(files: Sequence[Path], pictures: Sequence[Picture]) -> None:
    for file, read in zip(files, pictures, strict=True):
        if read.pixels.shape[:2] != pictures[0].pixels.shape[:2]:
            raise UsageError(
                f"{files[0]} is {_size(pictures[0])}, {file} is {_size(read)}; "
                "make all images one size, or set dataset.resize=[H,W]"
            )


def _notes(pictures: Sequence[Picture], how: Reading) -> list[str]:
    stretched = [read.stretched for read in pictures if read.stretched > SHAPE_KEPT]
    blended, more = sum(read.blended for read in pictures), sum(read.more for read in pictures)
    notes = []
    if stretched and how.resize:
        notes.append(
            f"{len(stretched)} of {len(pictures)} images change their shape by "
            f"dataset.resize=[{how.resize[0]},{how.resize[1]}], one side up to {max(stretched):.2f} times as much as "
            "the other; dataset.fit=crop or dataset.fit=pad keeps it"
        )
    if blended:
        notes.append(
            f"{blended} of {len(pictures)} images have transparency, which is laid on {how.ground} (dataset.ground)"
        )
    if more:
        notes.append(f"{more} of {len(pictures)} files hold more images than one; the first of each is read")
    return notes


def _array(pictures: list[Picture]) -> NDArray[np.uint8]:
    """Their pixels as one array, colour where any has it; the list is emptied, so that no image is held twice."""
    shapes = {read.pixels.shape for read in pictures}
    images = np.empty((len(pictures), *max(shapes, key=len)), np.uint8)
    for place in reversed(range(len(pictures))):
        pixels = pictures.pop().pixels
        images[place] = pixels if pixels.ndim == images.ndim - 1 else pixels[..., None]
    return images


def _reason(error: Exception) -> str:
    """What is wrong, without the file's name said again."""
    return "no image by its contents" if isinstance(error, UnidentifiedImageError) else one_line(error)


def _first(told: Sequence[str]) -> str:
    return ", ".join(told[:NAMED]) + (f" and {len(told) - NAMED} more" if len(told) > NAMED else "")


def _size(read: Picture) -> str:
    return f"{read.pixels.shape[0]} x {read.pixels.shape[1]}"
