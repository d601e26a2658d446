"""One image file as pixels: the right way up, with 8 bits for each channel, without transparency.

H x W pixels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from al_runner.errors import UsageError
from al_runner.settings.kinds import Means, Reads

GREY = ("1", "L", "LA")
DEEP = ("I", "F")  # Pillow's modes with more than 8 bits a pixel begin like this; Pillow would clip them at 255
Ways = Literal["stretch", "crop", "pad"]
FITS = get_args(Ways)
PAGES = ("GIF", "PNG", "TIFF", "WEBP")  # formats with several images, of which one is read; an MPO's are previews

# The options of every data set of image files.
Resize = Annotated[
    Any,
    Reads("a whole number, or [height, width], or null"),
    Means("height and width of all images; one number is for both; null: as they are"),
]
Fit = Annotated[
    Ways,
    Means("if resize changes an image's shape: stretch it, crop its longer side, or pad its shorter one"),
]
Channels = Annotated[Literal[1, 3] | None, Means("1: grey, 3: RGB; null: RGB if any image has colour")]
Ground = Annotated[str, Means("the colour that transparency is laid on: a name, or '#rrggbb'")]
SkipBroken = Annotated[bool, Means("leave out the files that can't be read, and say how many")]


class TooDeep(Exception):
    """An image has more than 8 bits a channel; the message says how many."""


@dataclass(frozen=True)
class Reading:
    """How image files become pixels; the fields are keys of conf/dataset/folder.yaml."""

    resize: tuple[int, int] | None = None  # H, W
    fit: str = "stretch"  # if the shape differs: stretch, crop the longer side, or pad the shorter with the ground
    channels: int | None = None  # 1: grey, 3: RGB, None: RGB if the file has colour
    ground: str = "white"  # the colour that transparency is blended onto: a CSS name or #rrggbb
    skip_broken: bool = False  # leave out what can't be read

    def __post_init__(self) -> None:
        if self.channels not in (None, 1, 3):
            raise UsageError(f"dataset.channels is {self.channels}; choose 1, 3 or null")
        if self.fit not in FITS:
            raise UsageError(f"dataset.fit is {self.fit}; choose {', '.join(FITS[:-1])} or {FITS[-1]}")
        try:
            opaque = len(ImageColor.getrgb(self.ground)) == 3
        except (ValueError, AttributeError, TypeError):
            opaque = False
        if not opaque:
            raise UsageError(f"dataset.ground is {self.ground}; give a colour's name, or '#rrggbb'")

    @property
    def colour(self) -> tuple[int, int, int]:
        """Red, green and blue of the ground, 0 .. 255."""
        red, green, blue = ImageColor.getrgb(self.ground)[:3]
        return red, green, blue


def height_and_width(resize: object) -> tuple[int, int] | None:
    """A number or a pair as [H, W], pixels. Raises UsageError if it is neither, or not above 0."""
    if resize is None:
        return None
    sizes = [resize, resize] if isinstance(resize, int) else list(resize) if hasattr(resize, "__iter__") else []
    whole = [size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and size > 0]
    if len(sizes) != 2 or len(whole) != 2:
        raise UsageError(
            f"dataset.resize is {resize}; give one number, as in dataset.resize=32, "
            "or height and width, as in dataset.resize=[32,48]"
        )
    return whole[0], whole[1]


class FilePixels(NamedTuple):
    """A file's pixels, and what was done to them."""

    pixels: NDArray[np.uint8]  # [H, W] if grey, else [H, W, 3]
    stretched: float = 1.0  # how much more one side was scaled than the other
    blended: bool = False
    more: bool = False  # the file has further images


def picture(file: Path, how: Reading) -> FilePixels:
    """The first image of the file. Raises TooDeep, or any error of Pillow's decoders if the file is broken."""
    if not file.is_file():
        raise OSError("a link to nothing" if file.is_symlink() else "no file")
    # Pillow (13.0) gets a stream: if it gets a path, it maps uncompressed TIFFs and scrambles the rotated ones.
    with file.open("rb") as stream, Image.open(stream) as image:
        _require_8_bits(image)
        more = image.format in PAGES and getattr(image, "n_frames", 1) > 1
        image.load()
        upright = ImageOps.exif_transpose(image)
        grey, blended = upright.mode in GREY, upright.has_transparency_data
        if blended:
            grey = grey and len(set(how.colour)) == 1
            upright = _blended(upright, how.colour)
        if how.channels is not None:
            grey = how.channels == 1
        pixels, stretched = _fitted(upright.convert("L" if grey else "RGB"), how)
    return FilePixels(np.asarray(pixels, dtype=np.uint8), stretched, blended, more)


def _require_8_bits(image: Image.Image) -> None:
    """Raises TooDeep if a channel has more than 8 bits. Pillow would cut colour images to 8 bits without a word."""
    if image.mode.startswith(DEEP):
        raise TooDeep(f"Pillow's mode {image.mode}")
    tiles = [(codec, arguments) for codec, *_, arguments in getattr(image, "tile", ())]
    if image.format == "PNG" and any(";16" in str(arguments) for _, arguments in tiles):
        raise TooDeep("16")
    if image.format == "TIFF":
        deepest = max(np.atleast_1d(getattr(image, "tag_v2", {}).get(258, 8)).tolist())  # BitsPerSample
        if deepest > 8:
            raise TooDeep(str(deepest))
    if image.format == "PPM":
        largest = max((arguments[1] for codec, arguments in tiles if codec in ("ppm", "ppm_plain")), default=255)
        if largest > 255:
            raise TooDeep(f"values up to {largest}")


def _blended(image: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    """The image in RGB, with its transparency blended onto `ground`."""
    values = np.asarray(image.convert("RGBA")).astype(np.uint16)  # 255 * 255 + 127 is the largest number here
    colours, share = values[..., :3], values[..., 3:]
    mixed = (colours * share + np.array(ground, dtype=np.uint16) * (255 - share) + 127) // 255
    return Image.fromarray(mixed.astype(np.uint8))


def _fitted(image: Image.Image, how: Reading) -> tuple[Image.Image, float]:
    """The image at the size of `how`, and how much more one side was scaled than the other."""
    if how.resize is None:
        return image, 1.0
    height, width = how.resize
    if how.fit == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC), 1.0
    if how.fit == "pad":
        red, green, blue = how.colour
        fill = round(0.299 * red + 0.587 * green + 0.114 * blue) if image.mode == "L" else how.colour
        return ImageOps.pad(image, (width, height), Image.Resampling.BICUBIC, fill), 1.0
    ratio = (width / image.width) / (height / image.height)
    return image.resize((width, height)), max(ratio, 1 / ratio)
