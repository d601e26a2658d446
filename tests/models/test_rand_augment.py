"""Every transformation against Pillow's, and what RandAugment draws for every image."""

from collections.abc import Callable
from math import cos, radians, sin

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from al_runner.models import rand_augment as ours
from al_runner.models.layers import seed_layers, seeded_layers
from al_runner.models.rand_augment import TRANSFORMATIONS, GreySquare, RandAugment, transformed

SIDES = (20, 26)
Change = Callable[[Image.Image], Image.Image]


def smooth_photo(channels: int) -> Tensor:
    """Values that change slowly from pixel to pixel, uint8 [1, C, H, W], so that interpolations differ little."""
    rows, columns = torch.meshgrid(*(torch.arange(side).float() for side in SIDES), indexing="ij")
    waves = [120 + 60 * torch.sin(rows / (4 + c)) + 40 * torch.cos(columns / (3 + c)) for c in range(channels)]
    return torch.stack(waves).round().to(torch.uint8)[None]


def noisy_photo(channels: int) -> Tensor:
    return torch.randint(30, 220, (1, channels, *SIDES), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def as_pillow(x: Tensor) -> Image.Image:
    return Image.fromarray(x[0].squeeze(0).numpy() if x.shape[1] == 1 else x[0].movedim(0, 2).numpy())


def as_tensor(image: Image.Image) -> Tensor:
    array = torch.from_numpy(np.array(image)).float()
    return array[None, None] if array.ndim == 2 else array.movedim(2, 0)[None]


def at(u: float) -> Tensor:
    return torch.full((1, 1, 1, 1), u)


def affine(*coefficients: float) -> Change:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


# The transformation, u, what Pillow does with this strength, and how many grey levels of rounding may lie between.
COLOURS: dict[str, tuple[float, Change, float]] = {
    "identity": (0.3, lambda image: image, 0),
    "autocontrast": (0.3, ImageOps.autocontrast, 1),
    "equalize": (0.3, ImageOps.equalize, 0),
    "posterize": (0.45, lambda image: ImageOps.posterize(image, 6), 0),
    "solarize": (0.5, lambda image: ImageOps.solarize(image, 128), 0),
    "brightness": (0.5, lambda image: ImageEnhance.Brightness(image).enhance(0.5), 1),
    "colour": (0.5, lambda image: ImageEnhance.Color(image).enhance(0.5), 1),
    "contrast": (0.5, lambda image: ImageEnhance.Contrast(image).enhance(0.5), 1),
    "sharpness": (0.5, lambda image: ImageEnhance.Sharpness(image).enhance(0.5), 1),
}
PLACES: dict[str, tuple[float, Change]] = {
    "rotate": (0.75, lambda image: image.rotate(-15, Image.Resampling.BILINEAR)),
    "shear_x": (0.75, affine(1, 0.15, 0, 0, 1, 0)),
    "shear_y": (0.75, affine(1, 0, 0, 0.15, 1, 0)),
    "translate_x": (0.75, affine(1, 0, 0.15 * SIDES[1], 0, 1, 0)),
    "translate_y": (0.25, affine(1, 0, 0, 0, 1, -0.15 * SIDES[0])),
}


def test_every_transformation_is_compared_below() -> None:
    assert {change.__name__ for change in TRANSFORMATIONS} == {*COLOURS, *PLACES}
    assert len(TRANSFORMATIONS) == 14 and TRANSFORMATIONS[0] is ours.identity


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", COLOURS)
def test_values_change_as_in_pillow(name: str, channels: int) -> None:
    u, change, rounding = COLOURS[name]
    x = noisy_photo(channels)
    torch.testing.assert_close(
        getattr(ours, name)(x.float(), at(u)), as_tensor(change(as_pillow(x))), rtol=0, atol=rounding
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PLACES)
def test_pixels_move_as_in_pillow(name: str, channels: int) -> None:
    """To within two grey levels where both take a value from inside; at the rim they interpolate in different ways."""
    u, change = PLACES[name]
    x = smooth_photo(channels)
    inside = as_tensor(change(as_pillow(torch.full_like(x, 255)))) == 255
    both = inside & (getattr(ours, name)(torch.full_like(x, 255).float(), at(u)) > 254.9)
    assert both.float().mean() > 0.6
    moved, expected = getattr(ours, name)(x.float(), at(u)), as_tensor(change(as_pillow(x)))
    assert float((moved - expected).abs()[both].max()) <= 2
    outside = as_tensor(change(as_pillow(torch.full_like(x, 255)))) == 0
    assert float((getattr(ours, name)(torch.full_like(x, 255).float(), at(u)))[outside].mean()) < 60


def test_the_ends_of_the_ranges() -> None:
    x = smooth_photo(1).float()
    for change in (ours.brightness, ours.contrast, ours.colour, ours.sharpness):
        weak, strong = change(x, at(1.0)), change(x, at(0.0))
        assert float((weak - x).abs().max()) <= float((strong - x).abs().max())
    assert torch.allclose(ours.brightness(x, at(0.0)), 0.05 * x) and torch.allclose(
        ours.brightness(x, at(1.0)), 0.95 * x
    )
    assert torch.equal(ours.posterize(x, at(0.0)), (x / 16).floor() * 16) and torch.equal(
        ours.posterize(x, at(0.999)), x
    )
    assert torch.equal(ours.solarize(x, at(0.0)), 255 - x)
    for angle, u in ((-30, 0.0), (30, 1.0)):
        turned = ours.rotate(x, at(u))
        row, column = (5 * part for part in (cos(radians(angle)), sin(radians(angle))))
        place = int(9.5 + row) + 1, int(12.5 + column) + 1
        assert turned.shape == x.shape and place[0] < SIDES[0]
    for change, side in ((ours.translate_x, 3), (ours.translate_y, 2)):
        moved = change(torch.full_like(x, 100.0), at(0.0))
        lost = float((moved == 0).float().mean())
        assert lost == pytest.approx(0.3, abs=1 / x.shape[side])


def test_an_image_with_one_value_or_of_few_pixels_is_left_as_it_is() -> None:
    flat = torch.full((1, 1, 20, 20), 7.0)
    for change in (ours.autocontrast, ours.equalize, ours.contrast, ours.sharpness):
        assert torch.allclose(change(flat, at(0.2)), flat)
    few = noisy_photo(1)[..., :8, :8].float()
    assert torch.equal(ours.equalize(few, at(0.2)), few)
    assert torch.equal(ours.sharpness(few[..., :2, :2], at(0.2)), few[..., :2, :2])


def test_every_image_gets_its_own_transformation_at_its_own_strength() -> None:
    x = torch.cat([noisy_photo(3), smooth_photo(3)]).float().repeat(15, 1, 1, 1)
    which = torch.randint(14, (30,), generator=torch.Generator().manual_seed(1))
    u = torch.rand(30, generator=torch.Generator().manual_seed(2))
    together = transformed(x, which, u)
    for place in range(30):
        alone = TRANSFORMATIONS[int(which[place])](x[place : place + 1], at(float(u[place])))
        torch.testing.assert_close(together[place : place + 1], alone)


def seeded(layer: torch.nn.Module) -> torch.nn.Module:
    seed_layers(layer, torch.Generator().manual_seed(3))
    return layer.train()


def test_its_draws_depend_on_its_stream_alone_and_it_does_nothing_in_evaluation() -> None:
    x, state = noisy_photo(1).repeat(40, 1, 1, 1), torch.random.get_rng_state()
    layer = seeded(ours.rand_augment())
    first = layer(x)
    torch.rand(3)
    assert torch.equal(layer(x), first) and first.dtype == torch.float32
    torch.random.set_rng_state(state)
    layer(x)
    assert torch.equal(torch.random.get_rng_state(), state)
    for part in seeded_layers(layer):
        part.stream += 1
    assert not torch.equal(layer(x), first)
    assert torch.equal(layer.eval()(x), x)
    assert float(first.min()) >= 0 and float(first.max()) <= 255


def test_the_chance_is_that_of_every_operation() -> None:
    """Identity changes nothing, and so do posterize with all 8 bits (1 of 5) and solarize above the largest value."""
    x = noisy_photo(3).repeat(2000, 1, 1, 1)
    still = (1 + 1 / 5 + 1 - (int(x.max()) + 1) / 256) / 14

    def unchanged(layer: RandAugment) -> float:
        return float((seeded(layer)(x) == x).all((1, 2, 3)).float().mean())

    assert unchanged(RandAugment(chance=0.0)) == 1
    assert unchanged(RandAugment(operations=1, chance=1.0)) == pytest.approx(still, abs=0.03)
    assert unchanged(RandAugment(operations=2, chance=0.5)) == pytest.approx((0.5 + 0.5 * still) ** 2, abs=0.04)


def test_the_grey_square_has_half_of_the_shorter_side() -> None:
    x = torch.zeros(500, 1, *SIDES)
    covered = seeded(GreySquare(0.5))(x) == 127
    assert int(covered.sum((2, 3)).max()) == 100
    assert int(covered.sum((2, 3)).min()) >= 25  # the centre lies in the image
    assert not bool(seeded(GreySquare(0.0))(x).any())
