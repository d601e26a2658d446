"""The joint step of VAAL: a variational autoencoder, and a discriminator of its codes (Sinha et al., 2019).

N images, C channels, H x W pixels, Z latent numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log2

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from al_runner.generative.losses import divergence, reconstruction, seen_as_real
from al_runner.generative.nets import outputs
from al_runner.generative.parts import lent
from al_runner.generative.vae_acgan import code
from al_runner.training import Loss, Move, Recipe

HALVINGS = 4  # the most convolutions of stride 2 in the encoder


class Autoencoder(nn.Module):
    """Images [N, C, H, W] -> means and log-variances of their codes, [N, Z] each; `decoded` leads back.

    Each convolution of the encoder halves the images, until the smaller side has 2 or 3 pixels or after four of them.
    The decoder begins at twice that size. `maps` are the filters of the first convolution; every further one has twice
    as many.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent: int, maps: int):
        super().__init__()
        channels, self.height, self.width = image_shape
        halvings = max(0, min(HALVINGS, int(log2(min(self.height, self.width))) - 1))
        widths = [channels, *(maps * 2**number for number in range(halvings))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        flat = outputs(self.encoder, image_shape)
        self.mean, self.log_variance = nn.Linear(flat, latent), nn.Linear(flat, latent)
        doublings = max(0, halvings - 1)
        small = -(-self.height // 2**doublings), -(-self.width // 2**doublings)
        top = maps * 2**doublings
        layers = [nn.Linear(latent, top * small[0] * small[1]), nn.Unflatten(1, (top, *small))]
        for number in range(doublings):
            before, after = top // 2**number, top // 2 ** (number + 1)
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(maps, channels, 1))
        self.apply(kaiming)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(x)
        return self.mean(hidden), self.log_variance(hidden)

    def decoded(self, z: Tensor) -> Tensor:
        """Codes [N, Z] -> images [N, C, H, W]; pixels beyond H x W are cut off."""
        images: Tensor = self.decoder(z)
        return images[:, :, : self.height, : self.width]


class Players(nn.Module):
    """An `Autoencoder`, and a discriminator that tells by the mean of an image's code whether it is labelled.

    Its own output is the discriminator's. It takes stored images, of values from `low` to `high`.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent: int, maps: int, units: int, low: float, high: float):
        super().__init__()
        self.low, self.span = low, high - low or 1.0
        self.autoencoder = Autoencoder(image_shape, latent, maps)
        self.discriminator = nn.Sequential(
            *(nn.Linear(latent, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1))
        )
        self.discriminator.apply(kaiming)

    def scaled(self, x: Tensor) -> Tensor:
        """The images with values from -1 to 1."""
        return (x.float() - self.low) * (2 / self.span) - 1

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> logits [N, 1], above 0 for "labelled"."""
        mean, _ = self.autoencoder(self.scaled(x))
        logits: Tensor = self.discriminator(mean)
        return logits


@dataclass(frozen=True)
class BuildPlayers:
    """Builds `Players` with new weights."""

    image_shape: tuple[int, int, int]
    latent: int
    maps: int
    units: int
    low: float
    high: float

    def __call__(self) -> Players:
        return Players(self.image_shape, self.latent, self.maps, self.units, self.low, self.high)


@dataclass(frozen=True)
class Game:
    """A minibatch is split into `steps` parts: as many moves of the autoencoder, then one of the discriminator d.

    On each part the autoencoder e minimises |x' - x|^2 + divergence_weight KL - adversary_weight ln d(mean of e(x)), so
    that d takes all images for labelled ones. Then d minimises -ln d of labelled images - ln(1 - d) of the others,
    on the last part.
    """

    steps: int
    divergence_weight: float
    adversary_weight: float

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return {"autoencoder": recipe, "discriminator": recipe}

    def step(self, net: Players, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        e, d, losses = net.autoencoder, net.discriminator, list[Tensor]()
        parts = [net.scaled(part) for part in x.chunk(self.steps)]
        for real in parts:
            mean, log_variance = e(real)
            near = reconstruction(e.decoded(code(mean, log_variance, rng)), real)
            of_codes = self.divergence_weight * divergence(mean, log_variance)
            of_autoencoder = near + of_codes + self.adversary_weight * seen_as_real(d(mean))
            move("autoencoder", of_autoencoder)
            losses.append(of_autoencoder.detach())
        with lent(e), torch.no_grad():
            mean, _ = e(parts[-1])
        of_discriminator = binary_cross_entropy_with_logits(d(mean), y[-len(mean) :, None].float())
        move("discriminator", of_discriminator)
        return torch.stack([*losses, of_discriminator.detach()]).sum()


def kaiming(layer: nn.Module) -> None:
    """Draw the weights of dense layers and convolutions as He et al. (2015), and set biases to 0.

    Transposed convolutions keep torch's own way, as in the published code.
    """
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
