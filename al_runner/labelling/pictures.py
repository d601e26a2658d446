"""An image as a person sees it: its own file if there is one, otherwise the pixels that the net sees."""

from base64 import b64encode
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor

SIDE = 640  # the most pixels that the longer side of a picture has


def data_url(pixels: Tensor, file: Path | None) -> str:
    """An image as a data: URL, which a page can hold; `pixels` are uint8 [C, H, W].

    The picture is made from `pixels`, as PNG, if `file` is None or can't be read. Otherwise it is the file's, as JPEG.
    """
    image = _opened(file) if file is not None else None
    kind = "JPEG"
    if image is None:
        grid = pixels.cpu().permute(1, 2, 0).numpy()
        image, kind = Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid), "PNG"
    stream = BytesIO()
    image.save(stream, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"


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
