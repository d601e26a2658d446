"""Many files as one array."""

from pathlib import Path

import numpy as np
import pytest
from made_images import noise, save

from al_runner.data.images import Filling, stacked
from al_runner.data.pixels import Reading


@pytest.mark.parametrize("colour", ["none", "first", "middle", "last", "all"])
def test_images_lie_in_their_order_and_in_colour_where_one_has_it(tmp_path: Path, colour: str) -> None:
    coloured = {"none": (), "first": (0,), "middle": (3,), "last": (6,), "all": range(7)}[colour]
    made = [noise(6, 3, number in coloured) for number in range(7)]
    files = [save(tmp_path / f"{number}.png", pixels) for number, pixels in enumerate(made)]
    read = stacked(files, Reading())
    assert read.kept == [*range(7)]
    if colour == "none":
        assert np.array_equal(read.images, np.stack(made))
    else:
        expected = [pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, -1) for pixels in made]
        assert np.array_equal(read.images, np.stack(expected))


def test_an_image_of_another_size_is_not_taken() -> None:
    stack = Filling(3)
    assert stack.add(noise(6, 3))
    assert not stack.add(noise(3, 6))
    assert not stack.add(noise(6, 3, True)[:, :2])
    assert stack.add(noise(6, 3, True))
    assert stack.images.shape == (2, 6, 3, 3)
