"""The joint step of Bayesian data augmentation: discriminator d, classifier c and generator g (Tran et al., 2017).

N images, Z latent numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.generative.losses import seen_as_made, seen_as_real
from al_runner.generative.parts import WHITE, Makers, Parts, lent
from al_runner.training import Loss, Move, Recipe


@dataclass(frozen=True)
class Acgan:
    """The three moves of a step, in the order of the paper's code: d, c, g, with z ~ U[0, 1).

    d minimises   -ln d(x) - ln(1 - d(g(z, y))),
    c minimises   -ln c_y(x) - ln c_y(g(z, y)),
    g minimises   -ln d(g(z, y)) - ln c_y(g(z, y)).

    Each move changes the weights of one net only. The loss of g uses d and c after their moves.
    """

    makers: Makers
    latent: int  # Z

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return self.makers.recipes(recipe, ("discriminator", "generator"))

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.rand(count, self.latent, generator=rng)

    def step(self, net: Parts, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        d, real = net.discriminator, x / WHITE
        made = net.generator(self.latents(len(x), rng).to(real), y)

        of_discriminator = seen_as_real(d(real)) + seen_as_made(d(made.detach()))
        move("discriminator", of_discriminator)

        # One pass over both, because BatchNorm's statistics for prediction are those of real and made images together.
        of_classifier = 2 * loss(net.classified(torch.cat([real, made.detach()])), torch.cat([y, y]))
        move("classifier", of_classifier)

        with lent(d, net.classifier):
            of_generator = seen_as_real(d(made)) + loss(net.classified(made), y)
        move("generator", of_generator)
        return (of_discriminator + of_classifier + of_generator).detach()
