"""One file against the values that its format says it has."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import noise, png, ppm, tiff
from PIL import Image

from al_runner.data.pixels import Reading, TooDeep, height_and_width, picture
from al_runner.errors import UsageError

GREY, ALPHA, COLOUR = noise(), noise(), noise(colour=True)
ALPHA[0, :3] = 0, 255, 128
PALETTE = noise(1, 256, colour=True)[0]


def laid(colours: np.ndarray, alpha: np.ndarray, ground: tuple[int, int, int]) -> np.ndarray:
    """Blended exactly and rounded, [H, W, 3]."""
    share = alpha.astype(float)[..., None] / 255
    return np.floor(colours * share + np.array(ground) * (1 - share) + 0.5).astype(np.uint8)


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, -1)


# Of every mode with transparency: how the file is made, and what it holds: colours and alpha.
def rgba(file: Path) -> tuple[np.ndarray, np.ndarray]:
    Image.fromarray(np.dstack([COLOUR, ALPHA])).save(file)
    return COLOUR, ALPHA


def la(file: Path) -> tuple[np.ndarray, np.ndarray]:
    Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]).save(file)
    return three(GREY), ALPHA


def palette(file: Path, **transparency: object) -> np.ndarray:
    image = Image.fromarray(GREY, "L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(PALETTE.flatten().tolist())
    image.save(file, **transparency)
    return PALETTE[GREY]


def palette_bytes(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """An alpha for every entry."""
    shares = np.arange(256, dtype=np.uint8)
    return palette(file, transparency=shares.tobytes()), shares[GREY]


def palette_index(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """One entry is transparent."""
    entry = int(GREY[2, 2])
    return palette(file, transparency=entry), np.where(entry == GREY, 0, 255).astype(np.uint8)


def palette_alpha(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pillow's PA, which a TIFF can hold."""
    image = Image.frombytes("PA", (4, 6), np.dstack([GREY, ALPHA]).tobytes())
    image.putpalette(PALETTE.flatten().tolist())
    image.save(file)
    return PALETTE[GREY], ALPHA


def colour_key(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """A colour that stands for transparency: tRNS of a PNG."""
    key = tuple(int(value) for value in COLOUR[2, 2])
    Image.fromarray(COLOUR).save(file, transparency=key)
    return COLOUR, np.where((key == COLOUR).all(-1), 0, 255).astype(np.uint8)


def grey_key(file: Path) -> tuple[np.ndarray, np.ndarray]:
    Image.fromarray(GREY).save(file, transparency=int(GREY[2, 2]))
    return three(GREY), np.where(GREY[2, 2] == GREY, 0, 255).astype(np.uint8)


def bilevel_key(file: Path) -> tuple[np.ndarray, np.ndarray]:
    bits = GREY > 127
    Image.fromarray(bits).save(file, transparency=0)
    return three(bits.astype(np.uint8) * 255), np.where(bits, 255, 0).astype(np.uint8)


Make = Callable[[Path], tuple[np.ndarray, np.ndarray]]
TRANSPARENT: list[tuple[Make, str, dict[str, object]]] = [
    (rgba, ".png", {}), (rgba, ".tif", {}), (rgba, ".tiff", {"compression": "tiff_lzw"}),
    (rgba, ".webp", {"lossless": True, "exact": True}), (la, ".png", {}), (la, ".tif", {}), (palette_bytes, ".png", {}),
    (palette_index, ".png", {}), (palette_index, ".gif", {}), (palette_alpha, ".tif", {}), (colour_key, ".png", {}),
    (grey_key, ".png", {}), (bilevel_key, ".png", {}),
]  # fmt: skip


@pytest.mark.parametrize("ground", ["white", "black", "#c81464"])
@pytest.mark.parametrize(
    ("make", "suffix", "options"), TRANSPARENT, ids=[f"{m.__name__}{s}" for m, s, _ in TRANSPARENT]
)
def test_transparency_is_laid_on_the_ground(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Make,
    suffix: str,
    options: dict[str, object],
    ground: str,
) -> None:
    plain_save = Image.Image.save
    monkeypatch.setattr(Image.Image, "save", lambda self, file, **more: plain_save(self, file, **{**more, **options}))
    file = tmp_path / f"image{suffix}"
    colours, alpha = make(file)
    assert (alpha < 255).any()
    expected = laid(colours, alpha, {"white": (255,) * 3, "black": (0,) * 3, "#c81464": (200, 20, 100)}[ground])
    read = picture(file, Reading(ground=ground, channels=3))
    assert np.array_equal(read.pixels, expected)
    assert read.blended


def test_ink_on_transparency_stays_grey_unless_the_ground_has_colour(tmp_path: Path) -> None:
    la(tmp_path / "a.png")
    assert np.array_equal(picture(tmp_path / "a.png", Reading()).pixels, laid(three(GREY), ALPHA, (255,) * 3)[..., 0])
    on_red = picture(tmp_path / "a.png", Reading(ground="red")).pixels
    assert np.array_equal(on_red, laid(three(GREY), ALPHA, (255, 0, 0)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"])
def test_what_has_no_transparency_is_not_blended(tmp_path: Path, mode: str) -> None:
    if mode in ("LAB", "HSV"):
        suffix, image = ".tif", Image.merge(mode, [Image.fromarray(GREY)] * 3)
        if mode == "HSV":  # no format of ours keeps it
            image = image.convert("RGB")
    else:
        suffix, image = (".jpg" if mode in ("CMYK", "YCbCr") else ".png"), Image.fromarray(COLOUR).convert(mode)
    image.save(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as saved:
        expected = np.asarray(saved.convert("L" if mode in ("1", "L") else "RGB"))
    read = picture(tmp_path / f"a{suffix}", Reading(ground="black"))
    assert np.array_equal(read.pixels, expected)
    assert not read.blended


@pytest.mark.parametrize("ground", ["#ffffff80", "nonsense", "", "#12"])
def test_a_ground_that_is_no_opaque_colour_is_refused(ground: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"dataset.ground is {ground}; give a colour's name, or '#rrggbb'")):
        Reading(ground=ground)


UPRIGHT = np.arange(24, dtype=np.uint8).reshape(6, 4) * 10
# How an upright image is stored so that the EXIF tag turns it back (CIPA DC-008: the 0th row and column's place).
STORED = {
    1: UPRIGHT, 2: UPRIGHT[:, ::-1], 3: UPRIGHT[::-1, ::-1], 4: UPRIGHT[::-1],
    5: UPRIGHT.T, 6: np.rot90(UPRIGHT, 1), 7: UPRIGHT[::-1, ::-1].T, 8: np.rot90(UPRIGHT, -1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_images_are_read_the_way_viewers_show_them(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    large = np.kron(STORED[orientation], np.ones((8, 8), np.uint8))  # JPEG's blocks
    Image.fromarray(large).save(tmp_path / f"a{suffix}", exif=exif, quality=95, lossless=True)
    pixels = picture(tmp_path / f"a{suffix}", Reading(channels=1)).pixels
    assert pixels.shape == (48, 32)
    assert np.abs(pixels[4::8, 4::8].astype(int) - UPRIGHT).max() <= (2 if suffix in (".jpg", ".webp") else 0)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(UPRIGHT).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(picture(tmp_path / "a.png", Reading()).pixels, UPRIGHT)


def test_exif_that_is_no_exif_turns_nothing(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "a.jpg", exif=b"Exif\0\0no such thing", quality=100)
    assert picture(tmp_path / "a.jpg", Reading()).pixels.shape == (6, 4)


def test_transparency_and_orientation_go_together(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.rot90(np.dstack([COLOUR, ALPHA]))).save(tmp_path / "a.png", exif=exif)
    expected = laid(COLOUR, ALPHA, (255, 255, 255))
    assert np.array_equal(picture(tmp_path / "a.png", Reading()).pixels, expected)
    image = Image.frombytes("P", (6, 4), np.rot90(GREY).tobytes())
    image.putpalette(PALETTE.flatten().tolist())
    image.save(tmp_path / "b.png", exif=exif, transparency=int(GREY[2, 2]))
    alpha = np.where(GREY[2, 2] == GREY, 0, 255)
    assert np.array_equal(picture(tmp_path / "b.png", Reading()).pixels, laid(PALETTE[GREY], alpha, (255, 255, 255)))


WIDE = noise(colour=True).astype(np.uint16) * 16
DEEP = {
    "png colour": lambda file: png(file.with_suffix(".png"), WIDE, 2, 16),
    "png colour and alpha": lambda file: png(file.with_suffix(".png"), np.dstack([WIDE, WIDE[..., :1]]), 6, 16),
    "png grey": lambda file: png(file.with_suffix(".png"), WIDE[..., 0], 0, 16),
    "png grey and alpha": lambda file: png(file.with_suffix(".png"), WIDE[..., :2], 4, 16),
    "tiff colour": lambda file: tiff(file.with_suffix(".tif"), WIDE, 16),
    "tiff colour and alpha": lambda file: tiff(file.with_suffix(".tiff"), np.dstack([WIDE, WIDE[..., :1]]), 16),
    "ppm": lambda file: ppm(file.with_suffix(".ppm"), WIDE, 65535),
    "ppm of 12 bits": lambda file: ppm(file.with_suffix(".ppm"), WIDE, 4095),
    "ppm in words": lambda file: ppm(file.with_suffix(".ppm"), WIDE, 4095, plain=True),
    "pgm": lambda file: ppm(file.with_suffix(".pgm"), WIDE[..., 0], 65535),
    "pgm in words": lambda file: ppm(file.with_suffix(".pnm"), WIDE[..., 0], 4095, plain=True),
}


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_a_channel_are_refused(tmp_path: Path, kind: str) -> None:
    file = DEEP[kind](tmp_path / "deep")
    with pytest.raises(TooDeep):
        picture(file, Reading())


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_grey_tiffs_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(WIDE[..., 0].astype(dtype)).save(tmp_path / "a.tif")
    with pytest.raises(TooDeep):
        picture(tmp_path / "a.tif", Reading())


def test_what_has_8_bits_or_fewer_is_read(tmp_path: Path) -> None:
    """The same writers with 8 bits: it is the depth that is refused and not the file."""
    made = [
        png(tmp_path / "a.png", COLOUR, 2, 8),
        tiff(tmp_path / "a.tif", COLOUR, 8),
        ppm(tmp_path / "a.ppm", COLOUR, 255),
        ppm(tmp_path / "b.ppm", COLOUR, 255, plain=True),
    ]
    for file in made:
        assert np.array_equal(picture(file, Reading()).pixels, COLOUR), file
    shallow = (COLOUR // 64).astype(np.uint8)
    assert np.array_equal(picture(ppm(tmp_path / "c.ppm", shallow, 3), Reading()).pixels, shallow * 85)
    grey = tmp_path / "d.png"
    Image.fromarray(GREY).save(grey, bits=8)
    assert np.array_equal(picture(grey, Reading()).pixels, GREY)


@pytest.mark.parametrize(
    ("resize", "expected"), [(None, None), (16, (16, 16)), ([16, 8], (16, 8)), ((3, 5), (3, 5))], ids=str
)
def test_a_size_is_a_number_or_a_pair(resize: object, expected: tuple[int, int] | None) -> None:
    assert height_and_width(resize) == expected


@pytest.mark.parametrize(
    "resize", [0, -4, 2.5, [16], [1, 2, 3], [16, 0], [16.5, 3], "16x16", "ab", True, [True, 3], {}]
)
def test_any_other_size_is_refused(resize: object) -> None:
    with pytest.raises(UsageError, match=re.escape(f"dataset.resize is {resize}; give one number")):
        height_and_width(resize)


BAR = np.zeros((40, 80), np.uint8)
BAR[:, 24:56] = 255  # the middle of a wide image


def test_resizing_says_how_far_it_changes_the_shape(tmp_path: Path) -> None:
    Image.fromarray(BAR).save(tmp_path / "a.png")
    assert picture(tmp_path / "a.png", Reading((20, 40))).stretched == 1
    stretched = picture(tmp_path / "a.png", Reading((20, 20)))
    assert stretched.stretched == 2
    assert np.array_equal(stretched.pixels, np.asarray(Image.fromarray(BAR).resize((20, 20))))


def test_cropping_keeps_the_middle_and_padding_keeps_all(tmp_path: Path) -> None:
    Image.fromarray(BAR).save(tmp_path / "a.png")
    cropped = picture(tmp_path / "a.png", Reading((20, 20), "crop"))
    assert cropped.stretched == 1
    assert np.array_equal(cropped.pixels, np.asarray(Image.fromarray(BAR[:, 20:60]).resize((20, 20))))
    padded = picture(tmp_path / "a.png", Reading((20, 20), "pad", ground="#808080"))
    assert padded.stretched == 1
    assert (padded.pixels[[*range(5), *range(15, 20)]] == 128).all()
    assert np.array_equal(padded.pixels[5:15], np.asarray(Image.fromarray(BAR).resize((20, 10))))
    with pytest.raises(UsageError, match=r"dataset\.fit is squeeze; choose stretch, crop or pad"):
        Reading((20, 20), "squeeze")


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_a_file_with_more_images_than_one_says_so(tmp_path: Path, suffix: str) -> None:
    first, *rest = [Image.fromarray(noise()) for _ in range(3)]
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=rest, lossless=True)
    first.save(tmp_path / f"b{suffix}", lossless=True)
    assert picture(tmp_path / f"a{suffix}", Reading()).more
    assert not picture(tmp_path / f"b{suffix}", Reading()).more


def cut_off(file: Path) -> None:
    Image.fromarray(noise(60, 60)).save(file)
    file.write_bytes(file.read_bytes()[:200])


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut off": cut_off,
    "text": lambda file: file.write_text("<html>not found</html>"),
    "header alone": lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "a link to nothing": lambda file: file.symlink_to(file.with_name("gone.png")),
    "a link to itself": lambda file: file.symlink_to(file),
    "missing": lambda file: None,
    "a folder": lambda file: file.mkdir(),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_sound_image_raises_and_nothing_waits_for_it(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.png"
    BROKEN[kind](file)
    with pytest.raises(Exception, match=r".") as caught:
        picture(file, Reading())
    assert not isinstance(caught.value, TooDeep)
