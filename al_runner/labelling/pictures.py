"""An image as a person sees it: its own file where that is there, else the pixels that the net sees."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor

SIDE = 640  # pixels of the longer side at most


def data_url(pixels: Tensor, file: Path | None) -> str:
    """An image as text that a page holds in itself; `pixels` are uint8 [C, H, W]."""
    image = _opened(file) if file is not None else None
    kind = "JPEG"
    if image is None:
        grid = pixels.cpu().permute(1, 2, 0).numpy()
        image, kind = Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid), "PNG"
    stream = BytesIO()
    image.save(stream, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"


def _opened(file: Path) -> Image.Image | None:
    """The file's image the right way up, on white, SIDE pixels at most; None where it can't be read."""
    try:
        with Image.open(file) as found:
            image = ImageOps.exif_transpose(found).convert("RGBA")
    except Exception:  # damage raises whatever Pillow's decoder of that format meets first
        return None
    image.thumbnail((SIDE, SIDE))
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
