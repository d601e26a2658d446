"""The rule in the published code of Ducoffe & Precioso (2016), with correct gradients; the paper has another rule.

L the labelled images, U a part of the unlabelled images, S the query that is being built, l blocks.
"""

import copy
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from al_runner.fisher import Factors, capture, mean_factors, product_traces
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import ids_in_parts
from al_runner.strategies.free_energy import greedy
from al_runner.strategies.kfac_vfe import CHUNK
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class KfacCode2016(Strategy):
    """Greedily adds the image with the least t = sum_l mean_(L u S) tr(psi_x P^-1) mean_(L u S) tr(tau_x Q^-1).

    P and Q are the mean factors of L and U together, plus `damping` times the identity. The published code takes the
    gradients of sets from means over minibatches of 32, but those of the queries from single images. That is a
    mistake; here all gradients come from single images.
    """

    direction: Annotated[
        Literal["minimise", "maximise"], Means("choose the images with the least or with the greatest trace")
    ] = "minimise"
    pool_batches: Annotated[
        Count, Means("unlabelled images in the Fisher matrix, besides the labelled ones, as a multiple of the query")
    ] = 10
    damping: Annotated[Positive, Means("the number that is added to every eigenvalue, absolute")] = 1e-8
    needs: ClassVar[Needs] = Needs(network=True)
    draws: ClassVar[bool] = True

    def check(self, net: nn.Module, x: Tensor) -> None:
        capture(net, x)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        net = copy.deepcopy(fitted.network()).double()  # float32's rounding would be larger than the damping
        order = torch.randperm(len(pool.unlabelled), generator=rng)[: self.pool_batches * n]
        unlabelled = pool.unlabelled[order.to(pool.unlabelled.device)]
        labelled = [(pool.x(ids), pool.y(ids)) for ids in ids_in_parts(pool, pool.labelled, CHUNK)]
        factors = mean_factors(
            net, [*labelled, *((pool.x(ids), None) for ids in ids_in_parts(pool, unlabelled, CHUNK))]
        )
        inverses = {name: Factors(*(self._inverse(matrix) for matrix in pair)) for name, pair in factors.items()}
        each = product_traces(net, (pool.x(ids) for ids in ids_in_parts(pool, pool.candidates, CHUNK)), inverses)
        before = product_traces(net, labelled, inverses)
        sign = 1 if self.direction == "minimise" else -1
        return pool.candidates[greedy(each, None, n, lambda t, _: sign * t, before)]

    def _inverse(self, matrix: Tensor) -> Tensor:
        damped = matrix + self.damping * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        return torch.cholesky_inverse(torch.linalg.cholesky(damped))
