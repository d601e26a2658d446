"""The pictures that a person sees."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from al_runner.labelling.pictures import data_url, fingerprint


def shown(url: str) -> Image.Image:
    return Image.open(BytesIO(b64decode(url.partition("base64,")[2])))


def test_a_picture_is_the_file_itself_where_it_is_there(tmp_path: Path) -> None:
    pixels = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5)
    assert np.array_equal(np.asarray(shown(data_url(pixels, None))), pixels.permute(1, 2, 0).numpy())
    Image.new("RGBA", (2000, 1000), (255, 0, 0, 0)).save(tmp_path / "large.png")
    found = shown(data_url(pixels, tmp_path / "large.png"))
    assert (found.size, found.getpixel((5, 5))) == ((640, 320), (255, 255, 255))  # on white, not black
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert shown(data_url(pixels, tmp_path / "broken.png")).size == (5, 4)


@pytest.mark.parametrize(("channels", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2), (13, 4, 4)])
def test_every_channel_is_visible_unless_they_are_colours(channels: int, columns: int, rows: int) -> None:
    height, width = 6, 130  # so that a line is two pixels wide
    pixels = torch.randint(0, 255, (channels, height, width), dtype=torch.uint8)
    pixels[-1] = 0  # taken for transparency, it would hide all
    image = shown(data_url(pixels, None))
    assert image.mode == "L"
    assert image.size == (columns * (width + 2) - 2, rows * (height + 2) - 2)
    sheet = np.array(image)
    for number, channel in enumerate(pixels.numpy()):
        top, left = (number // columns) * (height + 2), (number % columns) * (width + 2)
        assert np.array_equal(sheet[top : top + height, left : left + width], channel)
        sheet[top : top + height, left : left + width] = 255
    assert (sheet == 255).all()  # the rest is white


@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 2, 1)])
def test_a_fingerprint_has_the_size_and_the_values(shape: tuple[int, int, int]) -> None:
    pixels = torch.arange(6, dtype=torch.uint8).reshape(shape)
    last = pixels[None].contiguous(memory_format=torch.channels_last)[0]
    assert fingerprint(pixels) == fingerprint(last)
    assert fingerprint(pixels).startswith("x".join(map(str, shape)) + "-")
    assert fingerprint(pixels) != fingerprint(pixels.flip(0, 1))
