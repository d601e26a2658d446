"""NoiseStability: candidates whose predictions move when the weights are shaken (Li et al., 2024).

N candidates, K draws of noise, Y classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.core_set import k_center
from al_runner.strategies.features import ids_in_parts
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import chunks
from al_runner.types import Fitted


def shaken(net: nn.Module, scale: float, rng: torch.Generator) -> dict[str, Tensor]:
    """The net's weights with noise, by name: w + scale |w| xi / |xi|, xi standard normal, for every layer by itself.

    Biases stay as they are. A BatchNorm's factors are weights, too, as in the published code.
    """
    weights: dict[str, Tensor] = {}
    for name, value in net.named_parameters():
        if name.rpartition(".")[2] == "weight":
            noise = torch.randn(value.shape, generator=rng).to(value)
            weights[name] = value.detach() + scale * value.detach().norm() * noise / noise.norm()
    return weights


def moves(net: nn.Module, x: Tensor, noises: Sequence[dict[str, Tensor]]) -> Tensor:
    """(p_k(x) - p(x)) / |p(x)| for all noises side by side, [N, C, H, W] -> float64 [N, K Y] (section 3.2)."""
    p = finite(net(x), "an output").double().softmax(1)
    length = p.norm(dim=1, keepdim=True)
    return torch.cat([(functional_call(net, noise, (x,)).double().softmax(1) - p) / length for noise in noises], 1)


def spread_out(points: Tensor, n: int) -> Tensor:
    """Positions of `n` different points, each the farthest from the origin and those before, [N, D] -> [n]."""
    return k_center(points, points.new_zeros(1, points.shape[1]), n)


@options("strategy")
@dataclass(frozen=True)
class NoiseStability(Strategy):
    """Images whose predictions change most, and in different directions, when small noise is added to the weights.

    One net is asked; the noise is the same for all images.
    """

    draws_of_noise: Annotated[Few, Means("times that noise is drawn, each with one forward pass of all candidates")] = (
        30
    )
    scale: Annotated[Positive, Means("length of the noise of a layer, as a share of its weights' length")] = 0.001
    needs: ClassVar[Needs] = Needs(network=True)
    draws: ClassVar[bool] = True

    @torch.inference_mode()
    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids, net = shuffled(pool.candidates_by_id, rng), fitted.network()
        noises = [shaken(net, self.scale, rng) for _ in range(self.draws_of_noise)]
        parts = [moves(net, part, noises) for few in ids_in_parts(pool, ids) for part in chunks(pool.x(few))]
        return ids[spread_out(torch.cat(parts), n)]
