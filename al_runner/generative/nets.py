"""Generator, discriminator and encoder for images of any size, with layers like DCGAN's (Tran et al., 2019).

N images, C channels, H x W pixels of values in [0, 1], Z latent numbers, Y classes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from al_runner.errors import UsageError


@dataclass(frozen=True)
class Sizes:
    """The sizes of the three nets; the defaults are those of the paper's demo."""

    latent: int = 100  # Z
    maps: int = 64  # filters of the first convolution; the second has twice as many
    units: int = 1024  # of a dense layer


class Generator(nn.Module):
    """g(z, y): latent [N, Z] and labels [N] -> images [N, C, H, W] in (0, 1).

    Two dense layers, then two transposed convolutions; each doubles the size. Pixels beyond H x W are cut off. With 0
    classes it takes no labels, like DCGAN.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int, sizes: Sizes):
        super().__init__()
        channels, self.height, self.width = image_shape
        self.classes = classes
        small = -(-self.height // 4), -(-self.width // 4)
        flat = 2 * sizes.maps * small[0] * small[1]
        self.net = nn.Sequential(
            *(nn.Linear(sizes.latent + classes, sizes.units, bias=False), nn.BatchNorm1d(sizes.units), nn.ReLU()),
            *(nn.Linear(sizes.units, flat, bias=False), nn.BatchNorm1d(flat), nn.ReLU()),
            nn.Unflatten(1, (2 * sizes.maps, *small)),
            nn.ConvTranspose2d(2 * sizes.maps, sizes.maps, 4, stride=2, padding=1, bias=False),
            *(nn.BatchNorm2d(sizes.maps), nn.ReLU()),
            *(nn.ConvTranspose2d(sizes.maps, channels, 4, stride=2, padding=1), nn.Sigmoid()),
        )
        self.net.apply(small_normal)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        code = z if y is None else torch.cat([z, one_hot(y, self.classes).to(z.dtype)], 1)
        images: Tensor = self.net(code)
        return images[:, :, : self.height, : self.width]


class Discriminator(nn.Module):
    """d(x): images [N, C, H, W] -> logits [N], above 0 for "real"."""

    def __init__(self, image_shape: tuple[int, int, int], sizes: Sizes):
        super().__init__()
        maps, units = sizes.maps, sizes.units
        convolutions = nn.Sequential(
            *(nn.Conv2d(image_shape[0], maps, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
            nn.Conv2d(maps, 2 * maps, 4, stride=2, padding=1, bias=False),
            *(nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2), nn.Flatten()),
        )
        flat = outputs(convolutions, image_shape)
        dense = nn.Linear(flat, units, bias=False), nn.BatchNorm1d(units), nn.LeakyReLU(0.2), nn.Linear(units, 1)
        self.net = nn.Sequential(*convolutions, *dense)
        self.net.apply(small_normal)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits[:, 0]


Bottleneck = Literal["none", "demo"]


class Encoder(nn.Module):
    """e(x): images [N, C, H, W] -> mean and log-variance of the latent code, [N, Z] each.

    The demo's bottleneck reduces an image of 28 x 28 pixels to one number before the dense layers, and keeps mean and
    log-variance in (0, 1). So the codes of two images of one class differ by that number only.
    """

    def __init__(self, image_shape: tuple[int, int, int], sizes: Sizes, bottleneck: Bottleneck = "none"):
        super().__init__()
        maps, units = sizes.maps, sizes.units
        layers = [
            nn.Conv2d(image_shape[0], maps, 4, stride=2, padding=1, bias=False),
            *(nn.BatchNorm2d(maps), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
            nn.Conv2d(maps, 2 * maps, 4, stride=2, padding=1, bias=False),
            *(nn.BatchNorm2d(2 * maps), nn.ReLU()),
        ]
        if bottleneck == "demo":
            layers += [nn.Conv2d(2 * maps, 1, 4, stride=2, padding=1), nn.ReLU()]
        convolutions = nn.Sequential(*layers, nn.Flatten())
        self.net = nn.Sequential(*convolutions, nn.Linear(outputs(convolutions, image_shape), units), nn.ReLU())
        bound = [nn.Sigmoid()] if bottleneck == "demo" else []
        self.mean = nn.Sequential(nn.Linear(units, sizes.latent), *bound)
        self.log_variance = nn.Sequential(nn.Linear(units, sizes.latent), *bound)
        self.apply(small_normal)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.net(x)
        return self.mean(hidden), self.log_variance(hidden)


def small_normal(layer: nn.Module) -> None:
    """Draw weights from N(0, 0.02^2) and set biases to 0 (Radford et al., 2016)."""
    if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def outputs(convolutions: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """The number of outputs for each image. Raises UsageError if the images are too small."""
    try:
        with torch.no_grad():
            return int(convolutions.eval()(torch.zeros(1, *image_shape)).shape[1])
    except RuntimeError as error:
        size = f"{image_shape[1]} x {image_shape[2]}"
        raise UsageError(
            f"images of {size} pixels are too small for the generative nets; use learner=dropout, or larger images"
        ) from error
    finally:
        convolutions.train()
