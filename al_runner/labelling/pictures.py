"""An image as a person sees it: its own file if there is one, otherwise the pixels that the net sees."""

from base64 import b64encode
from hashlib import blake2b
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

SIDE = 640  # the most pixels that the longer side of a picture has
LINE = 64  # a white line between two channels is 1/LINE of their width, or one pixel


def data_url(pixels: Tensor, file: Path | None) -> str:
    """An image as a data: URL, which a page can hold; `pixels` are uint8 [C, H, W].

    The picture is made from `pixels`, as PNG, if `file` is None or can't be read. Otherwise it is the file's, as JPEG.
    """
    image = _opened(file) if file is not None else None
    kind = "JPEG"
    if image is None:
        image, kind = drawn(pixels), "PNG"
    stream = BytesIO()
    image.save(stream, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"


def drawn(pixels: Tensor) -> Image.Image:
    """An image of uint8 [C, H, W]: three channels as red, green and blue, any other number each in grey.

    Several grey channels stand beside each other in rows, from left to right, with white lines between them, as the
    stains of a microscope are shown. No channel is taken for transparency, which would hide the others.
    """
    channels = pixels.cpu().numpy()
    count, height, width = channels.shape
    if count == 3:
        return Image.fromarray(np.ascontiguousarray(channels.transpose(1, 2, 0)))
    columns = ceil(sqrt(count))
    line = max(1, width // LINE) if count > 1 else 0
    size = columns * (width + line) - line, ceil(count / columns) * (height + line) - line
    sheet = Image.new("L", size, "white")
    for number, channel in enumerate(channels):
        row, column = divmod(number, columns)
        sheet.paste(Image.fromarray(np.ascontiguousarray(channel)), (column * (width + line), row * (height + line)))
    return sheet


def fingerprint(pixels: Tensor) -> str:
    """The size and a hash of an image's pixels, uint8 [C, H, W], such as "3x64x64-0a1b2c3d4e5f6071"."""
    values = pixels.cpu().contiguous().numpy()
    return f"{'x'.join(map(str, values.shape))}-{blake2b(values.tobytes(), digest_size=8).hexdigest()}"


def _opened(file: Path) -> Image.Image | None:
    """The file's image, upright, on white, of SIDE pixels or fewer; None if it can't be read."""
    try:
        with Image.open(file) as stored:
            image = ImageOps.exif_transpose(stored).convert("RGBA")
    except Exception:  # Pillow's decoders raise errors of many types for a damaged file
        return None
    image.thumbnail((SIDE, SIDE))
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
