"""Images as one line of text. A journal holds the images that a strategy made in this form."""

from base64 import b64decode, b64encode
from zlib import compress, decompress

import numpy as np
from numpy.typing import NDArray

from al_runner.record.journal import Made


def packed(images: NDArray[np.uint8]) -> str:
    """Images [n, C, H, W], one after another, compressed by zlib and in base64."""
    return b64encode(compress(images.tobytes())).decode()


def unpacked(event: Made) -> NDArray[np.uint8]:
    """The images of an event, uint8 [n, C, H, W]."""
    pixels = np.frombuffer(decompress(b64decode(event.pixels)), dtype=np.uint8)
    return pixels.reshape(len(event.id), *event.shape).copy()
