"""The free energy of KFAC-VFE direction by direction, with the determinant and inverse that the paper bounds by traces.

S the query that is being built, U the unlabelled and A the labelled images, D candidates, i and o the directions of a
block's two factors, N = sum_l i o parameters.
"""

from dataclasses import dataclass
from math import inf
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from al_runner.fisher import Factors, Spectra, capture, mean_factors, spectra
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import ids_in_parts
from al_runner.strategies.kfac_vfe import CHUNK
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class KfacSpectral(Strategy):
    """Greedily builds the query whose Fisher information is like the pool's in every direction of its eigenbasis.

    Ducoffe & Precioso (2017, eq. 8, 14, 15) replace ln det(I_S I_U^-1) by N ln(Z1 / N) and tr(I_U I_S^-1) by N^2 / Z1.
    So one image repeated many times can cost as little as many different images. Here both are computed in the
    eigenbasis of the pool's factors, from the diagonal of I_S and its damping. Let r_i and r_o be the query's
    curvature over the pool's along each direction. The divergence is
    sum_l o sum_i ln r_i + i sum_o ln r_o + sum_i 1/r_i sum_o 1/r_o.
    BAIT minimises its last term alone, tr(I_U I_S^-1) (Ash et al., 2021, eq. 4).
    """

    objective: Annotated[
        Literal["divergence", "trace"],
        Means("the quantity that is minimised: the divergence from the pool, or tr(I_U I_S^-1) alone"),
    ] = "divergence"
    damping: Annotated[Positive, Means("this is added to the curvature, relative to each factor's mean eigenvalue")] = (
        0.1
    )
    labels: Annotated[
        Literal["predicted", "expected"],
        Means("labels of unlabelled images: the prediction, or its expectation, with a backward pass for each class"),
    ] = "predicted"
    start: Annotated[
        Literal["empty", "labelled"],
        Means("the images that are compared with the pool: the query alone, or the query and the labelled images"),
    ] = "empty"
    pool_sample: Annotated[
        Count | None, Means("random unlabelled images from which the pool's factors are estimated; null: all images")
    ] = None
    needs: ClassVar[Needs] = Needs(network=True)

    @property
    def draws(self) -> bool:
        return self.pool_sample is not None

    def check(self, net: nn.Module, x: Tensor) -> None:
        capture(net, x)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        net, expected, ids = fitted.network(), self.labels == "expected", pool.unlabelled
        if self.pool_sample is not None and self.pool_sample < len(ids):
            ids = ids[torch.randperm(len(ids), generator=rng)[: self.pool_sample].to(ids.device)]
        factors = mean_factors(
            net, ((pool.x(part), None) for part in ids_in_parts(pool, ids, CHUNK)), expected=expected
        )
        bases = {name: eigenbasis(pair, self.damping) for name, pair in factors.items()}
        vectors = {name: basis.vectors for name, basis in bases.items()}
        each = spectra(net, (pool.x(part) for part in ids_in_parts(pool, pool.candidates, CHUNK)), vectors, expected)
        before = None
        if self.start == "labelled":
            batches = ((pool.x(part), pool.y(part)) for part in ids_in_parts(pool, pool.labelled, CHUNK))
            before = spectra(net, batches, vectors, expected)
        return pool.candidates[spread(each, before, bases, n, self.objective == "divergence")]


@dataclass(frozen=True)
class Basis:
    """The eigenvectors of a block's two mean factors in the pool, the eigenvalues, and the damping of these."""

    vectors: Factors
    values: Spectra  # float64 [i], [o]
    damping: Spectra  # float64, one number each


def eigenbasis(factors: Factors, damping: float) -> Basis:
    """The eigenvectors and eigenvalues of both factors, with the damping of `damped_inverse`."""
    (psi_values, psi), (tau_values, tau) = (torch.linalg.eigh(matrix) for matrix in factors)
    values = Spectra(psi_values.clamp_min(0), tau_values.clamp_min(0))
    scales = (side.mean() for side in values)
    lams = Spectra(*(damping * torch.where(scale > 0, scale, torch.ones_like(scale)) for scale in scales))
    return Basis(Factors(psi, tau), values, lams)


def spread(
    each: dict[str, Spectra], before: dict[str, Spectra] | None, bases: dict[str, Basis], n: int, divergence: bool
) -> Tensor:
    """`n` times, add the candidate that gives the query so far the least objective; positions int64 [n].

    `each` are the candidates' spectra, [D, i] and [D, o] for each block; `before` are those of images that count as
    chosen. Ties go to the earlier candidate. Raises ArithmeticError if an objective is NaN.
    """
    count = 0 if before is None else len(next(iter(before.values())).psi)
    sums = {
        name: Spectra(*(side[0].double() * 0 for side in own))
        if before is None
        else Spectra(*(side.double().sum(0) for side in before[name]))
        for name, own in each.items()
    }
    first = next(iter(each.values())).psi
    closed = torch.zeros(len(first), dtype=torch.bool, device=first.device)
    chosen = []
    for size in range(count + 1, count + n + 1):
        value = torch.zeros(len(closed), dtype=torch.float64, device=first.device)
        for name, own in each.items():
            value += block_objective(own, sums[name], size, bases[name], divergence)
        if bool(value.isnan().any()):
            raise ArithmeticError("the objective of a candidate is NaN: the net's gradients are not finite")
        best = value.masked_fill(closed, inf).argmin()
        closed[best] = True
        chosen.append(best)
        sums = {
            name: Spectra(*(total + side[best] for total, side in zip(sums[name], each[name], strict=True)))
            for name in each
        }
    return torch.stack(chosen)


def block_objective(own: Spectra, total: Spectra, size: int, basis: Basis, divergence: bool) -> Tensor:
    """One block's part of the objective with each candidate added to the query, float64 [D]; `size` includes it."""
    psi, tau = (
        ((side + sums) / size + lam) / (values + lam)
        for side, sums, values, lam in zip(own, total, basis.values, basis.damping, strict=True)
    )
    trace: Tensor = psi.reciprocal().sum(1) * tau.reciprocal().sum(1)
    if not divergence:
        return trace
    return tau.shape[1] * psi.log().sum(1) + psi.shape[1] * tau.log().sum(1) + trace
