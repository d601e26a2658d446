"""The joint step of VAE-ACGAN: encoder e, generator g, discriminator d and classifier c (Tran et al., 2019).

N images, Z latent numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.generative.losses import divergence, reconstruction, seen_as_made, seen_as_real
from al_runner.generative.parts import WHITE, Makers, Parts, lent
from al_runner.training import Loss, Move, Recipe


@dataclass(frozen=True)
class VaeAcgan:
    """The four moves of a step, in the order of the paper's demo: e, g, d, c.

    e minimises   |g(z_e, y) - x|^2 + divergence_weight KL,
    g minimises   -ln d(g(z, y)) - ln c_y(g(z, y)) + reconstruction_weight |g(z_e, y) - x|^2,
    d minimises   -ln d(x) - ln(1 - d(g(z, y))) - ln(1 - d(g(z_e, y))),
    c minimises   -ln c_y(x) - ln c_y(g(z, y)) - ln c_y(g(z_e, y)).

    z ~ N(0, 1), and z_e ~ e(x) is drawn again after the move of e. Each move changes the weights of one net only. d and
    c get the images that g made before its move.
    """

    makers: Makers
    latent: int  # Z
    divergence_weight: float
    reconstruction_weight: float

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return self.makers.recipes(recipe, ("encoder", "generator", "discriminator"))

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.randn(count, self.latent, generator=rng)

    def step(self, net: Parts, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        e, g, d, real = net.encoder, net.generator, net.discriminator, x / WHITE
        with lent(g):
            mean, log_variance = e(real)
            near = reconstruction(g(code(mean, log_variance, rng), y), real)
            of_encoder = near + self.divergence_weight * divergence(mean, log_variance)
            move("encoder", of_encoder)

        with lent(e), torch.no_grad():
            mean, log_variance = e(real)
            z_e = code(mean, log_variance, rng)
        z = self.latents(len(x), rng).to(real)
        made, twins = g(torch.cat([z, z_e]), torch.cat([y, y])).chunk(2)
        with lent(d, net.classifier):
            fooled = seen_as_real(d(made)) + loss(net.classified(made), y)
        of_generator = fooled + self.reconstruction_weight * reconstruction(twins, real)
        move("generator", of_generator)

        made, twins = made.detach(), twins.detach()
        of_discriminator = seen_as_real(d(real)) + seen_as_made(d(made)) + seen_as_made(d(twins))
        move("discriminator", of_discriminator)

        # One pass over all three, because BatchNorm's statistics for prediction are those of all three together.
        of_classifier = 3 * loss(net.classified(torch.cat([real, made, twins])), torch.cat([y, y, y]))
        move("classifier", of_classifier)
        return (of_encoder + of_generator + of_discriminator + of_classifier).detach()


def code(mean: Tensor, log_variance: Tensor, rng: torch.Generator) -> Tensor:
    """A draw of z_e ~ N(mean, variance), [N, Z] (Kingma & Welling, 2014, eq. 10)."""
    return mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=rng).to(mean)
