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
NO_PIXELS = np.zeros((0, 0), np.uint8)
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
    stack, kept, read = Stack(len(files)), list[int](), list[Picture]()
    broken, deep, odd = list[str](), list[str](), list[str]()
    for place, file in enumerate(files):
        try:
            found = picture(file, how)
        except TooDeep as error:
            deep.append(f"{file} ({error})")
        except Exception as error:  # damage raises whatever Pillow's decoder of that format meets first
            broken.append(f"{file} ({_reason(error)})")
        else:
            if not stack.add(found.pixels):
                odd.append(f"{file} is {_size(found.pixels)}")
            kept.append(place)
            read.append(found._replace(pixels=NO_PIXELS))
    _require_usable(broken if not how.skip_broken else [], deep, len(files))
    if not kept:
        raise UsageError(f"all {len(files)} images are broken: {_first(broken)}; replace them")
    if odd:
        first = f"{files[kept[0]]} is {_size(stack.images[0])}"
        raise UsageError(f"{first}, {odd[0]}; make all images one size, or set dataset.resize=[H,W]")
    notes = _notes(read, how)
    if broken:
        notes.insert(0, f"{len(broken)} of {len(files)} images can't be read and are left out: {_first(broken)}")
    return Stacked(stack.images, kept, tuple(notes))


class Stack:
    """Images one after another in one array, in colour from the first that has it, so that none is held twice."""

    def __init__(self, count: int):
        self._count, self._filled = count, 0
        self._held = np.zeros((0, 0, 0), np.uint8)

    @property
    def images(self) -> NDArray[np.uint8]:
        """[N, H, W] while all are grey, else [N, H, W, 3]."""
        return self._held[: self._filled]

    def add(self, pixels: NDArray[np.uint8]) -> bool:
        """Put one more there, [H, W] or [H, W, 3], unless it is of another size than the first."""
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


def _reason(error: Exception) -> str:
    """What is wrong, without the file's name said again."""
    return "no image by its contents" if isinstance(error, UnidentifiedImageError) else one_line(error)


def _first(told: Sequence[str]) -> str:
    return ", ".join(told[:NAMED]) + (f" and {len(told) - NAMED} more" if len(told) > NAMED else "")


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"
