"""Strong changes of images: RandAugment (Cubuk et al., 2020) and a grey square, as in FixMatch (Sohn et al., 2020).

N images, C channels, H x W pixels; n of the images get the same transformation. Values are 0 .. 255. A transformation
gets images, float32 [n, C, H, W], and for each a random number u in [0, 1), [n, 1, 1, 1], which says how strong it is.
The ranges are those of FixMatch's appendix, and the meaning of every transformation is Pillow's.
"""

from collections.abc import Callable, Sequence
from math import radians
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from al_runner.models.layers import Augmentation, in_square, places, taken_from
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, ShareOrAll

GREY = 127  # of the square that is covered
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue in a pixel's lightness


def identity(x: Tensor, u: Tensor) -> Tensor:
    """Changes nothing."""
    return x


def autocontrast(x: Tensor, u: Tensor) -> Tensor:
    """Stretches the values of every channel to 0 .. 255."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return torch.where(high > low, (x - low) * 255 / (high - low).clamp_min(1e-6), x)


def equalize(x: Tensor, u: Tensor) -> Tensor:
    """Gives the values of every channel an even distribution; an image of fewer than 256 pixels hardly changes."""
    values = x.round().flatten(2)
    ordered = values.sort().values
    highest = (values == ordered[..., -1:]).sum(2, keepdim=True)
    step = (values.shape[2] - highest) // 255
    evened = (step // 2 + torch.searchsorted(ordered, values)) // step.clamp_min(1)
    return torch.where(step > 0, evened.clamp_max(255).to(x.dtype), values).view_as(x)


def posterize(x: Tensor, u: Tensor) -> Tensor:
    """Keeps the highest 4 to 8 bits of every value."""
    step = 2 ** (4 - (5 * u).floor())
    return (x / step).floor() * step


def solarize(x: Tensor, u: Tensor) -> Tensor:
    """Inverts the values from a threshold on, which is anywhere."""
    return torch.where(x < 256 * u, x, 255 - x)


def blended(x: Tensor, plain: Tensor, u: Tensor) -> Tensor:
    """0.05 to 0.95 of the image, and the rest of a plainer one."""
    return plain + (0.05 + 0.9 * u) * (x - plain)


def brightness(x: Tensor, u: Tensor) -> Tensor:
    """Blends with black."""
    return blended(x, torch.zeros_like(x), u)


def colour(x: Tensor, u: Tensor) -> Tensor:
    """Blends with the same image in grey."""
    return blended(x, lightness(x), u)


def contrast(x: Tensor, u: Tensor) -> Tensor:
    """Blends with the image's mean lightness."""
    return blended(x, lightness(x).mean((2, 3), keepdim=True), u)


def sharpness(x: Tensor, u: Tensor) -> Tensor:
    """Blends with the means of 3 x 3 pixels, where the middle one counts five times; the rim stays as it is."""
    if min(x.shape[2:]) < 3:
        return x
    smooth = x.clone()
    smooth[..., 1:-1, 1:-1] = (9 * avg_pool2d(x, 3, 1) + 4 * x[..., 1:-1, 1:-1]) / 13
    return blended(x, smooth, u)


def lightness(x: Tensor) -> Tensor:
    """[n, C, H, W] -> [n, 1, H, W]; the mean over channels if these are not red, green and blue."""
    if x.shape[1] != len(LUMA):
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def rotate(x: Tensor, u: Tensor) -> Tensor:
    """By up to 30 degrees each way."""
    rows, columns = places(x)
    angle = either_way(u, radians(30))
    cos, sin = angle.cos(), angle.sin()
    return taken_from(x, cos * rows - sin * columns, sin * rows + cos * columns)


def shear_x(x: Tensor, u: Tensor) -> Tensor:
    """Shifts every row by up to 0.3 of its distance from the top."""
    rows, columns = places(x)
    return taken_from(x, rows, columns + either_way(u, 0.3) * (rows + x.shape[2] / 2))


def shear_y(x: Tensor, u: Tensor) -> Tensor:
    """Shifts every column by up to 0.3 of its distance from the left."""
    rows, columns = places(x)
    return taken_from(x, rows + either_way(u, 0.3) * (columns + x.shape[3] / 2), columns)


def translate_x(x: Tensor, u: Tensor) -> Tensor:
    """By up to 0.3 of the width."""
    rows, columns = places(x)
    return taken_from(x, rows, columns + either_way(u, 0.3) * x.shape[3])


def translate_y(x: Tensor, u: Tensor) -> Tensor:
    """By up to 0.3 of the height."""
    rows, columns = places(x)
    return taken_from(x, rows + either_way(u, 0.3) * x.shape[2], columns)


def either_way(u: Tensor, most: float) -> Tensor:
    """Numbers in [-most, most), [n, 1, 1, 1] -> [n, 1, 1]."""
    return (2 * u.squeeze(3) - 1) * most


Transformation = Callable[[Tensor, Tensor], Tensor]
TRANSFORMATIONS: tuple[Transformation, ...] = (
    *(identity, autocontrast, equalize, posterize, solarize, brightness, colour, contrast, sharpness),
    *(rotate, shear_x, shear_y, translate_x, translate_y),
)


def transformed(x: Tensor, which: Tensor, u: Tensor, among: Sequence[Transformation] = TRANSFORMATIONS) -> Tensor:
    """Every image after the transformation that `which` names by its place `among` them, float32 [N, C, H, W].

    `which` is int64 [N], and u is [N].
    """
    order = which.argsort(stable=True)
    groups = order.split(which.bincount(minlength=len(among)).tolist())
    parts = [change(x[ids], u[ids, None, None, None]) for change, ids in zip(among, groups, strict=True)]
    result = torch.empty_like(x)
    result[order] = torch.cat(parts)
    return result


class RandAugment(Augmentation):
    """Every image goes through `operations` transformations that are drawn for it, each with probability `chance`.

    How strong each is, is random, too. The result is float32.
    """

    printed = ("operations", "chance")

    def __init__(self, operations: int = 2, chance: float = 0.5):
        super().__init__()
        self.operations, self.chance = operations, chance

    def changed(self, x: Tensor) -> Tensor:
        x = x.to(torch.float32)
        for kind, applied, strength in self.naturals(3 * self.operations, x).view(self.operations, 3, len(x)):
            which = torch.where(applied < 32768 * self.chance, kind % len(TRANSFORMATIONS), 0)  # 0 is identity
            x = transformed(x, which, strength / 32768)
        return x


class GreySquare(Augmentation):
    """Covers a square around a random pixel, whose side is a share of the image's shorter side, with grey."""

    printed = ("side",)

    def __init__(self, side: float = 0.5):
        super().__init__()
        self.side = side

    def changed(self, x: Tensor) -> Tensor:
        pixels = round(self.side * min(x.shape[2:]))
        return x.masked_fill(in_square(x, self.naturals(2, x), pixels), GREY)


@options("learner.strong")
def rand_augment(
    operations: Annotated[Count, Means("transformations that are drawn for every image, one after the other")] = 2,
    chance: Annotated[ShareOrAll, Means("probability with which each of them is carried out")] = 0.5,
    cutout: Annotated[
        ShareOrAll, Means("side of the square that is covered with grey at the end, as a share of the shorter side")
    ] = 0.5,
) -> nn.Sequential:
    """RandAugment with strengths at random, and then a grey square (Cutout), as in FixMatch's published code."""
    return nn.Sequential(RandAugment(operations, chance), GreySquare(cutout))
