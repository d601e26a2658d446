"""The joint step of DCGAN: a generator g of images without labels, and a discriminator d (Radford et al., 2016).

N images, Z latent numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from al_runner.generative.losses import seen_as_made, seen_as_real
from al_runner.generative.nets import Discriminator, Generator, Sizes
from al_runner.generative.parts import WHITE, lent
from al_runner.training import Loss, Move, Recipe


class Pair(nn.Module):
    """A generator and a discriminator. Its own output is the discriminator's."""

    def __init__(self, image_shape: tuple[int, int, int], sizes: Sizes):
        super().__init__()
        self.generator = Generator(image_shape, 0, sizes)
        self.discriminator = Discriminator(image_shape, sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Uint8 [N, C, H, W] -> logits [N, 1]."""
        logits: Tensor = self.discriminator(x / WHITE)
        return logits[:, None]


@dataclass(frozen=True)
class BuildPair:
    """Builds a `Pair` with new weights."""

    image_shape: tuple[int, int, int]
    sizes: Sizes

    def __call__(self) -> Pair:
        return Pair(self.image_shape, self.sizes)


@dataclass(frozen=True)
class Dcgan:
    """The two moves of a step, z ~ N(0, 1): d minimises -ln d(x) - ln(1 - d(g(z))), then g minimises -ln d(g(z))."""

    latent: int  # Z

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return {"discriminator": recipe, "generator": recipe}

    def step(self, net: Pair, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        d, real = net.discriminator, x / WHITE
        made = net.generator(torch.randn(len(x), self.latent, generator=rng).to(real))
        of_discriminator = seen_as_real(d(real)) + seen_as_made(d(made.detach()))
        move("discriminator", of_discriminator)
        with lent(d):
            of_generator = seen_as_real(d(made))
        move("generator", of_generator)
        return (of_discriminator + of_generator).detach()
