"""The variational free energy of a query, from its images' traces, and the greedy search for the smallest.

D candidates, K images of a query, l blocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from al_runner.fisher import Traces

SMALLEST = 1e-200  # replaces a Z of 0 (no gradient at all), which would make the energy infinite
SCORED = 2**16  # candidates whose energies are in memory at once
DRAWS = 100  # random queries whose mean Z is the unit of gamma


def mean_z(traces: Traces, chosen: Tensor) -> Tensor:
    """Z of sets S of candidates, positions [..., K] -> [...]: sum_l mean_S psi-trace times mean_S tau-trace."""
    return (traces.psi[chosen].mean(-2) * traces.tau[chosen].mean(-2)).sum(-1)


def query_z(traces: Traces, chosen: Tensor, before: Traces | None = None) -> float:
    """Z of one query, positions [K], in float64; if `before` is given, Z of the query and those images together."""
    sides = [side[chosen].double() for side in traces]
    if before:
        sides = [torch.cat([side, other.double()]) for side, other in zip(sides, before, strict=True)]
    return float(mean_z(Traces(*sides), torch.arange(len(sides[0]), device=chosen.device)))


def mean_random_z(traces: Traces, n: int, rng: torch.Generator) -> float:
    """Mean Z of DRAWS random queries of `n` candidates."""
    sets = torch.stack([torch.randperm(len(traces.psi), generator=rng)[:n] for _ in range(DRAWS)])
    return float(mean_z(traces, sets.to(traces.psi.device)).mean())


def divergence(z: Tensor, target: Tensor) -> Tensor:
    """ln(z / T) + T / z for T = `target`. Its minimum is 1, at z = T; at z = 0 it is large and finite."""
    z, target = z.clamp_min(SMALLEST), target.clamp_min(SMALLEST)
    return z.log() - target.log() + target / z


@dataclass(frozen=True)
class FreeEnergy:
    """Eq. 19 divided by the target T, in a form without scale: gamma Zref / Z0 + g (ln(Z1 / T) + T / Z1).

    T is the sum of `targets`. With `by_block` every block adds T_l / T (ln(z_l / T_l) + T_l / z_l), and no logarithm
    of the sum is taken: the divergence of block-diagonal Gaussians is a sum over their blocks.
    """

    targets: Tensor  # T_l, float64 [l]
    training: float = 0.0  # gamma Zref
    generalisation: float = 1.0  # g
    minimise: bool = True
    by_block: bool = False

    def __call__(self, z1: Tensor, z0: Tensor | None) -> Tensor:
        """The energy, which is to be minimised, [...], from Z1 and Z0 [...]; with `by_block` `z1` is z_l, [..., l]."""
        total = self.targets.sum()
        if self.by_block:
            apart = (self.targets / total.clamp_min(SMALLEST) * divergence(z1, self.targets)).sum(-1)
        else:
            apart = divergence(z1, total)
        energy = self.generalisation * apart
        if z0 is not None:
            energy = energy + self.training / z0.clamp_min(SMALLEST)
        return energy if self.minimise else -energy


class _Growing:
    """Z of the query so far with each candidate added; always in float64.

    `before`, [A, l], are the traces of images that count as chosen already.
    """

    def __init__(self, traces: Traces, before: Traces | None = None):
        self.traces = traces
        self.before = len(before.psi) if before else 0
        start = [side.double().sum(0) for side in before] if before else [side[0].double() * 0 for side in traces]
        self.psi, self.tau = start

    def with_each(self, size: int, rows: slice, by_block: bool = False) -> Tensor:
        """Z [D], or with `by_block` its parts z_l [D, l], of the candidates `rows`; `size` includes the candidate."""
        parts = (self.psi + self.traces.psi[rows]) * (self.tau + self.traces.tau[rows])
        return (parts if by_block else parts.sum(1)) / (self.before + size) ** 2

    def add(self, best: Tensor) -> None:
        self.psi, self.tau = self.psi + self.traces.psi[best], self.tau + self.traces.tau[best]


def greedy(
    general: Traces,
    training: Traces | None,
    n: int,
    energy: Callable[[Tensor, Tensor | None], Tensor],
    before: Traces | None = None,
    by_block: bool = False,
) -> Tensor:
    """Algorithm 1: `n` times, add the candidate that gives the query so far the least energy; positions int64 [n].

    `general` and `training` are traces [D, l]. `before`, [A, l], are the traces of images that count towards Z1
    together with the query. `energy` gets Z1 and Z0 [D], or with `by_block` the parts of Z1 [D, l] and Z0. Every step
    scores all candidates, so the time is O(n D l); ties go to the earlier candidate. Memory besides the traces is one
    byte for each candidate. Raises ArithmeticError if an energy is NaN.
    """
    z1, z0 = _Growing(general, before), _Growing(training) if training else None
    closed = torch.zeros(len(general.psi), dtype=torch.bool, device=general.psi.device)
    chosen = []

    def energies(size: int) -> Iterator[tuple[int, Tensor]]:
        for start in range(0, len(closed), SCORED):
            rows = slice(start, start + SCORED)
            values = energy(z1.with_each(size, rows, by_block), z0.with_each(size, rows) if z0 else None)
            yield start, values.masked_fill(closed[rows], inf)

    for size in range(1, n + 1):
        best = _first_least(energies(size))
        closed[best] = True
        chosen.append(best)
        for growing in (z1, z0):
            if growing:
                growing.add(best)
    return torch.stack(chosen)


def _first_least(parts: Iterator[tuple[int, Tensor]]) -> Tensor:
    """The position of the smallest of all values, the first one of ties; raises ArithmeticError if a value is NaN."""
    values, positions = [], []
    for start, part in parts:
        if bool(part.isnan().any()):
            raise ArithmeticError("the free energy of a candidate is NaN: the net's gradients are not finite")
        position = part.argmin()
        values.append(part[position])
        positions.append(position + start)
    return torch.stack(positions)[torch.stack(values).argmin()]
