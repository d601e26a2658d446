"""Turns images into one line of text and back. A journal holds the images that a strategy made in this form."""

from base64 import b64decode, b64encode
from zlib import compress, decompressobj

import numpy as np
from numpy.typing import NDArray

from al_runner.record.journal import Made


def packed(images: NDArray[np.uint8]) -> str:
    """The pixels of images [n, C, H, W], one image after another, compressed by zlib and in base64."""
    return b64encode(compress(images.tobytes())).decode()


def unpacked(event: Made, most: int | None = None) -> NDArray[np.uint8]:
    """The images of an event, uint8 [n, C, H, W]. Never unpacks more bytes than these images have.

    Raises ValueError if there are more than `most` bytes, or fewer than the event says; zlib.error if they are damaged.
    """
    channels, height, width = event.shape
    size = len(event.id) * channels * height * width
    if size < 1 or (most is not None and size > most):
        raise ValueError(f"the images have {size:,} bytes; it must be 1 to {most or size:,}")
    pixels = np.frombuffer(decompressobj().decompress(b64decode(event.pixels), size), dtype=np.uint8)
    return pixels.reshape(len(event.id), channels, height, width).copy()
