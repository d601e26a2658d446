"""KFAC-VFE: batches by variational free energy through Kronecker-factored Fisher blocks (Ducoffe & Precioso, 2017).

S the query of K images being built, U the unlabelled and A the labelled images, D candidates, l layers, N parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher import (
    Factors,
    damped_inverse,
    mean_factors,
    parameter_count,
    product_traces,
    squared_traces,
    treatable_layers,
)
from al_runner.fisher.traces import Traces
from al_runner.pool import Pool
from al_runner.strategies.base import Strategy
from al_runner.types import Fitted

SMALLEST = 1e-200  # stands for a Z of 0 (no gradient at all), where the energy would be infinite
CHUNK = 128  # images a backward pass: a layer's patches then stay within tens of megabytes


@dataclass(frozen=True)
class KfacVfe(Strategy):
    """Greedily builds the query whose Fisher information stands for the pool's (algorithm 1).

    With Z1 = sum_l mean_S tr(psi_x psi_U^-1) mean_S tr(tau_x tau_U^-1), the generalisation factor (eq. 15, 19) is
    ln(Z1 / N) + N / Z1. With Z0 = sum_l mean_S tr(psi_x M psi_x) mean_S tr(tau_x M' tau_x), where (M, M') is the
    labelled factor, the training factor (eq. 13, 19) is gamma * Zref / Z0: Zref, the mean Z0 of random queries of
    the same size, stands for the paper's scale N^3 / sqrt(pi), which would drown the other term.
    The paper's contradictions are options; the defaults are what its algebra and measurement support.
    """

    direction: str = "minimise"  # eq. 8 and the text of section 4; "maximise" is algorithm 1 as printed
    gamma: float = 0.0  # weight of the training factor; the paper prints no value
    damping: float = 0.1  # relative: lam = damping * tr(M) / dim(M) for each inverted factor M
    invert_labelled: bool = False  # eqs. 13, 16, 17, 19 have the labelled factor itself; eq. 18, alg. 1 its inverse
    size: str = "parameters"  # N: "parameters", or "effective" = Z1 of the whole of U under damping
    pool_sample: int | None = None  # estimate the pool's factor from so many random unlabelled images; None: from all

    def __post_init__(self) -> None:
        for field, allowed in (("direction", ("minimise", "maximise")), ("size", ("parameters", "effective"))):
            if getattr(self, field) not in allowed:
                raise UsageError(f"strategy.{field} is {getattr(self, field)!r}; choose one of {', '.join(allowed)}")
        if not self.gamma >= 0:
            raise UsageError(f"strategy.gamma is {self.gamma}; it must be 0 or more")
        if not self.damping > 0:
            raise UsageError(f"strategy.damping is {self.damping}; it must be above 0 (0.1 is the default)")
        if self.pool_sample is not None and self.pool_sample < 1:
            raise UsageError(f"strategy.pool_sample is {self.pool_sample}; it must be 1 or more, or null for all")

    def check(self, net: nn.Module) -> None:
        treatable_layers(net)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        net = fitted.network()
        factors = mean_factors(net, ((pool.x(ids), None) for ids in self._pool_ids(pool, rng).split(CHUNK)))
        inverses = self._inverted(factors)
        general = product_traces(net, _images(pool), inverses)
        training = self._training_traces(net, pool) if self.gamma else None
        total = parameter_count(factors) if self.size == "parameters" else _effective_size(factors, inverses)
        reference = mean_random_z(training, n, rng) if training else 0.0
        chosen = greedy(general, training, n, total, self.gamma * reference, self.direction == "minimise")
        return pool.candidates[chosen]

    def _pool_ids(self, pool: Pool, rng: torch.Generator) -> Tensor:
        if self.pool_sample is None or self.pool_sample >= len(pool.unlabelled):
            return pool.unlabelled
        order = torch.randperm(len(pool.unlabelled), generator=rng)[: self.pool_sample]
        return pool.unlabelled[order.to(pool.unlabelled.device)]

    def _training_traces(self, net: nn.Module, pool: Pool) -> Traces:
        factors = mean_factors(net, ((pool.x(ids), pool.y(ids)) for ids in pool.labelled.split(CHUNK)))
        return squared_traces(net, _images(pool), self._inverted(factors) if self.invert_labelled else factors)

    def _inverted(self, factors: dict[str, Factors]) -> dict[str, Factors]:
        return {
            name: Factors(damped_inverse(psi, self.damping), damped_inverse(tau, self.damping))
            for name, (psi, tau) in factors.items()
        }


def _images(pool: Pool) -> Iterator[Tensor]:
    return (pool.x(ids) for ids in pool.candidates.split(CHUNK))


def _effective_size(factors: dict[str, Factors], inverses: dict[str, Factors]) -> float:
    """N_eff = sum_l tr(psi (psi + lam)^-1) tr(tau (tau + lam)^-1), the Z1 of the pool itself."""
    pairs = ((factors[name], inverses[name]) for name in factors)
    return float(sum((f.psi * i.psi).sum() * (f.tau * i.tau).sum() for f, i in pairs))


def mean_z(traces: Traces, chosen: Tensor) -> Tensor:
    """Z of sets of candidates, positions [..., K] -> [...]: sum_l mean_S psi-trace times mean_S tau-trace."""
    return (traces.psi[chosen].mean(-2) * traces.tau[chosen].mean(-2)).sum(-1)


def mean_random_z(traces: Traces, n: int, rng: torch.Generator, draws: int = 100) -> float:
    """Mean Z of `draws` random queries of `n` candidates."""
    sets = torch.stack([torch.randperm(len(traces.psi), generator=rng)[:n] for _ in range(draws)])
    return float(mean_z(traces, sets.to(traces.psi.device)).mean())


def free_energy(z1: Tensor, z0: Tensor | None, total: float, gamma_reference: float) -> Tensor:
    """Eq. 19 divided by N, in its scale-free form: gamma Zref / Z0 + ln(Z1 / N) + N / Z1; large and finite at Z = 0."""
    z1 = z1.clamp_min(SMALLEST)
    energy = z1.log() - log(total) + total / z1
    return energy if z0 is None else energy + gamma_reference / z0.clamp_min(SMALLEST)


class _Growing:
    """Z of the query so far with each candidate added."""

    def __init__(self, traces: Traces):
        self.traces = traces
        self.psi, self.tau = torch.zeros_like(traces.psi[0]), torch.zeros_like(traces.tau[0])

    def with_each(self, size: int) -> Tensor:
        """[D]; `size` counts the candidate in."""
        return ((self.psi + self.traces.psi) * (self.tau + self.traces.tau)).sum(1) / size**2

    def add(self, best: Tensor) -> None:
        self.psi, self.tau = self.psi + self.traces.psi[best], self.tau + self.traces.tau[best]


def greedy(
    general: Traces, training: Traces | None, n: int, total: float, gamma_reference: float, minimise: bool
) -> Tensor:
    """Algorithm 1: add, `n` times, the candidate with the best free energy of the query so far; positions int64 [n].

    Traces are [D, l]. Every step scores all candidates at once, O(n D l) in all; ties fall to the earlier candidate.
    """
    z1, z0 = _Growing(general), _Growing(training) if training else None
    closed = torch.zeros(len(general.psi), dtype=torch.bool, device=general.psi.device)
    chosen = []
    for size in range(1, n + 1):
        energy = free_energy(z1.with_each(size), z0.with_each(size) if z0 else None, total, gamma_reference)
        if bool(energy.isnan().any()):
            raise ArithmeticError("the free energy of a candidate is NaN: the net's gradients are not finite")
        best = (energy if minimise else -energy).masked_fill(closed, float("inf")).argmin()
        closed[best] = True
        chosen.append(best)
        for growing in (z1, z0):
            if growing:
                growing.add(best)
    return torch.stack(chosen)
