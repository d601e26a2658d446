"""Reads image files into one array.

N images of H x W pixels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from al_runner.data.pixels import FilePixels, Reading, TooDeep, picture
from al_runner.errors import UsageError
from al_runner.system.text import listed, one_line

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
NAMED = 10  # files of an error message
NO_PIXELS = np.zeros((0, 0), np.uint8)
SHAPE_KEPT = 1.02  # nobody sees it if one side is scaled at most this much more than the other


class ImageArray(NamedTuple):
    """Image files as one array, which files are in it, and what the user must know."""

    images: NDArray[np.uint8]  # [N, H, W] if grey or [N, H, W, 3]
    kept: list[int]  # positions in the list of files
    notes: tuple[str, ...]


def stacked(files: Sequence[Path], how: Reading) -> ImageArray:
    """All `files` in their order, without broken ones if `how` skips them.

    Raises UsageError if files can't be read, or if two differ in size; it names them.
    """
    filling, kept, read = Filling(len(files)), list[int](), list[FilePixels]()
    broken, deep, odd = list[str](), list[str](), list[str]()
    for place, file in enumerate(files):
        try:
            image = picture(file, how)
        except TooDeep as error:
            deep.append(f"{file} ({error})")
        except Exception as error:  # every decoder of Pillow raises errors of its own
            broken.append(f"{file} ({_reason(error)})")
        else:
            if not filling.add(image.pixels):
                odd.append(f"{file} is {_size(image.pixels)}")
            kept.append(place)
            read.append(image._replace(pixels=NO_PIXELS))
    _require_usable(broken if not how.skip_broken else [], deep, len(files))
    if not kept:
        raise UsageError(f"all {len(files)} images are broken: {listed(broken, NAMED)}; replace them")
    if odd:
        first = f"{files[kept[0]]} is {_size(filling.images[0])}"
        raise UsageError(f"{first}, {odd[0]}; make all images one size, or set dataset.resize=[H,W]")
    notes = _notes(read, how)
    if broken:
        notes.insert(0, f"{len(broken)} of {len(files)} images can't be read and are left out: {listed(broken, NAMED)}")
    return ImageArray(filling.images, kept, tuple(notes))


class Filling:
    """One array that images are added to one by one, so that none is in memory twice.

    It is grey until the first image with colour is added.
    """

    def __init__(self, count: int):
        self._count, self._filled = count, 0
        self._held = np.zeros((0, 0, 0), np.uint8)

    @property
    def images(self) -> NDArray[np.uint8]:
        """The images added so far, [N, H, W] if all are grey, else [N, H, W, 3]."""
        return self._held[: self._filled]

    def add(self, pixels: NDArray[np.uint8]) -> bool:
        """Add one image, [H, W] or [H, W, 3]. Returns False, and adds nothing, if it differs in size from the first."""
        if not self._filled:
            self._held = np.empty((self._count, *pixels.shape), np.uint8)
        if pixels.shape[:2] != self._held.shape[1:3]:
            return False
        if pixels.ndim > self._held.ndim - 1:
            grey, self._held = self._held, np.empty((self._count, *pixels.shape), np.uint8)
            self._held[: self._filled] = grey[: self._filled, ..., None]
        self._held[self._filled] = pixels if pixels.ndim == self._held.ndim - 1 else pixels[..., None]
        self._filled += 1
        return True


def fingerprint(root: Path, files: Sequence[Path], options: Sequence[str]) -> str:
    """Twelve characters that change with the folder's path, its files' names, sizes and times, and the options."""
    facts = [str(root), *options, *map(_facts, files)]
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()[:12]


def _facts(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return f"{file} absent"
    return f"{file} {status.st_size} {status.st_mtime_ns}"


def _require_usable(broken: list[str], deep: list[str], count: int) -> None:
    """Raises UsageError if there are broken or too deep files; it names the first ten and counts the others."""
    complaints = []
    if broken:
        complaints.append(
            f"{len(broken)} of {count} images can't be read: {listed(broken, NAMED)}; replace or remove them, "
            "or leave them out with dataset.skip_broken=true"
        )
    if deep:
        complaints.append(
            f"{len(deep)} of {count} images have more than 8 bits a channel: {listed(deep, NAMED)}; save them with 8, "
            "scaled to 0 .. 255"
        )
    if complaints:
        raise UsageError("; ".join(complaints))


def _notes(pictures: Sequence[FilePixels], how: Reading) -> list[str]:
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


def _reason(error: Exception) -> str:
    """What is wrong with an image, without its file's name."""
    return "no image by its contents" if isinstance(error, UnidentifiedImageError) else one_line(error)


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"
