"""Layers that draw random numbers in training. Each has its own stream, in a single net and in a stack of nets.

N examples, C channels, H x W pixels.
"""

from collections.abc import Callable
from math import radians
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad

from al_runner.errors import UsageError
from al_runner.rng import hashed_bits
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means, NotNegative
from al_runner.system.text import one_line


class Seeded(nn.Module):
    """A layer whose random numbers depend only on its buffer `stream`; the engine adds 1 to it after every step."""

    stream: Tensor  # int64, one number

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("stream", torch.tensor(0), persistent=False)

    def bits(self, count: int) -> Tensor:
        """`count` uniform random numbers, int16 [count]."""
        return hashed_bits(self.stream, count)


class SeededDropout(Seeded):
    """Dropout of single values, or of whole channels as in nn.Dropout2d; `p` is rounded to 16 bits."""

    def __init__(self, p: float, channels: bool = False):
        super().__init__()
        self.p, self.channels = p, channels
        self.shared = False  # True: one mask for all examples of a minibatch

    def extra_repr(self) -> str:
        return f"p={self.p}, channels={self.channels}"

    def forward(self, x: Tensor) -> Tensor:
        dropped = round(self.p * 65536)
        if not self.training or dropped == 0:
            return x
        if dropped == 65536:
            return torch.zeros_like(x)
        shape = torch.Size([*x.shape[:2], *[1] * (x.ndim - 2)]) if self.channels else x.shape
        if self.shared:
            shape = torch.Size([1, *shape[1:]])
        kept = self.bits(shape.numel()) >= dropped - 32768
        return x * (kept.view(shape).to(x.dtype) * (65536 / (65536 - dropped)))


class Augmentation(Seeded):
    """Changes every image of a minibatch at random, [N, C, H, W]. It does nothing in evaluation mode."""

    printed: ClassVar[tuple[str, ...]]  # the names of its options

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.printed)

    def forward(self, x: Tensor) -> Tensor:
        return self.changed(x) if self.training else x

    def changed(self, x: Tensor) -> Tensor:
        """The images as they are in training."""
        raise NotImplementedError

    def uniform(self, kinds: int, x: Tensor) -> Tensor:
        """Uniform random numbers -32768 .. 32767, `kinds` of them for every image of `x`, int16 [kinds, N]."""
        return self.bits(kinds * len(x)).view(kinds, len(x))

    def naturals(self, kinds: int, x: Tensor) -> Tensor:
        """As `uniform`, but int64 numbers 0 .. 32767."""
        return self.uniform(kinds, x).to(torch.int64) & 0x7FFF


def require_images(make: Callable[[], nn.Module], images: Tensor, who: str) -> None:
    """Raises UsageError, which names `who`, unless `make` gives a layer from images to images, [N, C, H, W] each."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = [*make().train()(images).shape]
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise UsageError(
            f"{who}: {one_line(error)}; it makes a layer from images to images, and its YAML has _partial_: true"
        ) from error
    if shape != (given := [*images.shape]):
        raise UsageError(f"{who} turns images {given} into {shape}; keep the shape")


class FlipAndShift(Augmentation):
    """Mirrors every image with probability 1/2 and shifts it by up to `pixels` each way.

    Zeros fill the new pixels. This is the flip and padded crop of He et al. (2016, section 4.2).
    """

    printed = ("pixels", "flip")

    @options("training.augment")
    def __init__(
        self,
        pixels: Annotated[CountOrZero, Means("the most pixels by which an image is shifted each way")] = 4,
        flip: Annotated[bool, Means("mirror every image with probability 1/2")] = True,
    ):
        super().__init__()
        self.pixels, self.flip = pixels, flip

    def changed(self, x: Tensor) -> Tensor:
        count, _, height, width = x.shape
        mirrored, down, right = self.naturals(3, x)
        across = torch.arange(width, device=x.device).expand(count, width)
        if self.flip:
            across = torch.where((mirrored % 2 == 1)[:, None], width - 1 - across, across)
        shifts = 2 * self.pixels + 1
        rows = torch.arange(height, device=x.device) + (down % shifts)[:, None]
        columns = across + (right % shifts)[:, None]
        images = torch.arange(count, device=x.device)[:, None, None]
        padded = pad(x, [self.pixels] * 4).movedim(1, -1)  # [N, H, W, C]
        return padded[images, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


class TurnAndShift(Augmentation):
    """Turns every image by up to `degrees` and shifts it by up to `pixels`, each way.

    Zeros fill the new pixels. Values between pixels are interpolated, so the result is float32.
    """

    printed = ("pixels", "degrees")

    @options("training.augment")
    def __init__(
        self,
        pixels: Annotated[NotNegative, Means("the most pixels by which an image is shifted each way")] = 2.0,
        degrees: Annotated[NotNegative, Means("the most degrees by which an image is turned each way")] = 10.0,
    ):
        super().__init__()
        self.pixels, self.degrees = pixels, degrees

    def changed(self, x: Tensor) -> Tensor:
        turn, down, right = self.uniform(3, x).to(torch.float32) / 32768  # in [-1, 1)
        angle = turn * radians(self.degrees)
        cos, sin = angle.cos(), angle.sin()
        rows, columns = places(x)
        cos, sin, down, right = (part[:, None, None] for part in (cos, sin, down, right))
        from_rows = cos * rows - sin * columns + self.pixels * down
        from_columns = sin * rows + cos * columns + self.pixels * right
        return taken_from(x, from_rows, from_columns)


class Cutout(Augmentation):
    """Gives a square of `pixels` a side in every image the image's mean colour (DeVries & Taylor, 2017).

    The square's centre is a random pixel of the image, so part of the square may lie outside the image. The paper uses
    the mean of the data set.
    """

    printed = ("pixels",)

    @options("training.augment")
    def __init__(self, pixels: Annotated[Count, Means("side of the square that is covered, in pixels")] = 16):
        super().__init__()
        self.pixels = pixels

    def changed(self, x: Tensor) -> Tensor:
        mean = x.to(torch.float32).mean((2, 3), keepdim=True).to(x.dtype)
        return torch.where(in_square(x, self.naturals(2, x), self.pixels), mean, x)


@options("training.augment")
def flip_shift_cutout(
    pixels: Annotated[CountOrZero, Means("the most pixels by which an image is shifted each way")] = 4,
    flip: Annotated[bool, Means("mirror every image with probability 1/2")] = True,
    cutout: Annotated[Count, Means("side of the square that is covered, in pixels")] = 16,
) -> nn.Sequential:
    """FlipAndShift, then a Cutout of `cutout` pixels."""
    return nn.Sequential(FlipAndShift(pixels, flip), Cutout(cutout))


def in_square(x: Tensor, numbers: Tensor, pixels: int) -> Tensor:
    """Which pixels lie in a square of `pixels` a side around a random pixel of each image, bool [N, 1, H, W].

    `numbers` are random, 0 or more, int64 [2, N]; they choose the row and the column of the centre.
    """
    height, width = x.shape[2:]
    down, right = numbers
    rows, columns = _covered(down % height, height, pixels), _covered(right % width, width, pixels)
    return rows[:, None, :, None] & columns[:, None, None, :]


def _covered(centre: Tensor, size: int, pixels: int) -> Tensor:
    """Which of `size` positions lie in a stretch of `pixels` around the centre, [N] -> bool [N, size]."""
    first = centre[:, None] - pixels // 2
    positions = torch.arange(size, device=centre.device)
    return (positions >= first) & (positions < first + pixels)


def places(x: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and columns of the pixels, in pixels from the image's centre, float32 [1, H, 1] and [1, 1, W]."""
    rows, columns = (torch.arange(size, device=x.device, dtype=torch.float32) - (size - 1) / 2 for size in x.shape[2:])
    return rows[None, :, None], columns[None, None, :]


def taken_from(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images whose pixels have the values of `x` at other places, which are given as in `places`, [N, H, W] each.

    Values between pixels are interpolated, so the result is float32. Zeros lie around every image.
    """
    height, width = x.shape[2:]
    grid = torch.stack(torch.broadcast_tensors(2 * columns / width, 2 * rows / height), -1)
    return grid_sample(x.to(torch.float32), grid, align_corners=False)


def seed_layers(net: nn.Module, rng: torch.Generator) -> None:
    """Replace torch's dropout layers inside `net` by seeded ones, and draw every stream's first value from `rng`."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                setattr(parent, name, SeededDropout(child.p, channels=not isinstance(child, nn.Dropout)))
    for layer in seeded_layers(net):
        layer.stream.random_(generator=rng)


def seeded_layers(net: nn.Module) -> list[Seeded]:
    """All layers that draw random numbers, in the order of the modules."""
    return [layer for layer in net.modules() if isinstance(layer, Seeded)]
