"""Layers that draw random numbers in training. Each has its own stream, in a single net and in a stack of nets.

N examples, C channels, H x W pixels.
"""

from math import radians
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad

from al_runner.rng import hashed_bits
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means, NotNegative


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
        height, width = x.shape[2:]
        turn, down, right = self.uniform(3, x).to(torch.float32) / 32768  # in [-1, 1)
        angle = turn * radians(self.degrees)
        cos, sin = angle.cos(), angle.sin()
        # Rows and columns in pixels from the centre. A new pixel takes the value at its own place, turned and shifted.
        rows = torch.arange(height, device=x.device, dtype=torch.float32) - (height - 1) / 2
        columns = torch.arange(width, device=x.device, dtype=torch.float32) - (width - 1) / 2
        rows, columns = rows[None, :, None], columns[None, None, :]
        cos, sin, down, right = (part[:, None, None] for part in (cos, sin, down, right))
        from_rows = cos * rows - sin * columns + self.pixels * down
        from_columns = sin * rows + cos * columns + self.pixels * right
        grid = torch.stack([2 * from_columns / width, 2 * from_rows / height], -1)
        return grid_sample(x.to(torch.float32), grid, align_corners=False)


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
        height, width = x.shape[2:]
        down, right = self.naturals(2, x)
        rows = self._covered(down % height, height)[:, None, :, None]
        columns = self._covered(right % width, width)[:, None, None, :]
        mean = x.to(torch.float32).mean((2, 3), keepdim=True).to(x.dtype)
        return torch.where(rows & columns, mean, x)

    def _covered(self, centre: Tensor, size: int) -> Tensor:
        """Which of `size` positions along one side lie in the square, [N] -> bool [N, size]."""
        first = centre[:, None] - self.pixels // 2
        places = torch.arange(size, device=centre.device)
        return (places >= first) & (places < first + self.pixels)


@options("training.augment")
def flip_shift_cutout(
    pixels: Annotated[CountOrZero, Means("the most pixels by which an image is shifted each way")] = 4,
    flip: Annotated[bool, Means("mirror every image with probability 1/2")] = True,
    cutout: Annotated[Count, Means("side of the square that is covered, in pixels")] = 16,
) -> nn.Sequential:
    """FlipAndShift, then a Cutout of `cutout` pixels."""
    return nn.Sequential(FlipAndShift(pixels, flip), Cutout(cutout))


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
