"""Image files read into one array.

N images of H x W pixels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from al_runner.data.prepared import one_line
from al_runner.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY = ("1", "L", "LA")
DEEP = ("I", "F")  # Pillow's modes of more than 8 bits a pixel begin so; it would clip them at 255


def stacked(files: Sequence[Path], resize: Sequence[int] | None, channels: int | None) -> NDArray[np.uint8]:
    """All `files` in their order, [N, H, W] if grey or [N, H, W, 3]; options as in `folder`.

    UsageError names a file that can't be read, or two of different sizes.
    """
    images = [_read(file, resize, channels) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            raise UsageError(
                f"{files[0]} is {_size(images[0])}, {file} is {_size(image)}; "
                "make all images one size, or set dataset.resize=[H,W]"
            )
    if len({image.ndim for image in images}) > 1:  # some grey, some not
        images = [image if image.ndim == 3 else image[..., None].repeat(3, -1) for image in images]
    return np.stack(images)


def fingerprint(root: Path, files: Sequence[Path], options: Sequence[str]) -> str:
    """Twelve characters that change with the folder's place, its files' names, sizes and times, and the options."""
    facts = [str(root), *options, *(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)]
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()[:12]


def _read(file: Path, resize: Sequence[int] | None, channels: int | None) -> NDArray[np.uint8]:
    """[H, W] or [H, W, 3]; without `channels`, grey images stay grey and all others become RGB."""
    try:
        with Image.open(file) as image:
            mode = image.mode
            if not mode.startswith(DEEP):
                grey = mode in GREY if channels is None else channels == 1
                converted = image.convert("L" if grey else "RGB")
    except Exception as error:  # damage raises whatever Pillow's decoder of that format meets first
        raise UsageError(f"{file} can't be read as an image ({one_line(error)}); replace or remove it") from error
    if mode.startswith(DEEP):
        raise UsageError(f"{file} has more than 8 bits a pixel (Pillow's mode {mode}); save it with 8")
    if resize is not None:
        height, width = resize
        converted = converted.resize((width, height))
    return np.asarray(converted, dtype=np.uint8)


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"
