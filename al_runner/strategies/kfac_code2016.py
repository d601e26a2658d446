"""The rule in the published code of Ducoffe & Precioso (2016), which is not the paper's; on correct gradients.

L the labelled images, U a slice of the unlabelled, S the query being built, l blocks.
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
from al_runner.strategies.free_energy import greedy
from al_runner.strategies.kfac_vfe import CHUNK
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class KfacCode2016(Strategy):
    """Greedily adds the image of least t = sum_l mean_(L u S) tr(psi_x P^-1) mean_(L u S) tr(tau_x Q^-1).

    P and Q are the mean factors of L and U together, damped by an absolute 1e-5. The code's own gradients of sets come
    from means over batches of 32, against single images for the queries, a mistake that is not repeated here.
    """

    direction: Annotated[Literal["minimise", "maximise"], Means("buy the images of least or of greatest trace")] = (
        "minimise"
    )
    pool_batches: Annotated[
        Count, Means("unlabelled images in the Fisher matrix beside the labelled ones, in queries")
    ] = 10
    damping: Annotated[Positive, Means("what is added to every eigenvalue, absolute")] = 1e-5
    needs: ClassVar[Needs] = Needs(network=True)
    draws: ClassVar[bool] = True

    def check(self, net: nn.Module, x: Tensor) -> None:
        capture(net, x)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        net = copy.deepcopy(fitted.network()).double()  # so little damping needs factors without rounding
        order = torch.randperm(len(pool.unlabelled), generator=rng)[: self.pool_batches * n]
        slice_ = pool.unlabelled[order.to(pool.unlabelled.device)]
        labelled = [(pool.x(ids), pool.y(ids)) for ids in pool.labelled.split(CHUNK)]
        factors = mean_factors(net, [*labelled, *((pool.x(ids), None) for ids in slice_.split(CHUNK))])
        inverses = {name: Factors(*(self._inverse(matrix) for matrix in pair)) for name, pair in factors.items()}
        each = product_traces(net, (pool.x(ids) for ids in pool.candidates.split(CHUNK)), inverses)
        before = product_traces(net, labelled, inverses)
        sign = 1 if self.direction == "minimise" else -1
        return pool.candidates[greedy(each, None, n, lambda t, _: sign * t, before)]

    def _inverse(self, matrix: Tensor) -> Tensor:
        damped = matrix + self.damping * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        return torch.cholesky_inverse(torch.linalg.cholesky(damped))
