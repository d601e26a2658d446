"""The variational free energy of a query from its images' traces, and the greedy search for the least.

D candidates, K images of a query, l blocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from al_runner.fisher import Traces

SMALLEST = 1e-200  # stands for a Z of 0 (no gradient at all), where the energy would be infinite
SCORED = 2**16  # candidates whose energies are held at once


def mean_z(traces: Traces, chosen: Tensor) -> Tensor:
    """Z of sets of candidates, positions [..., K] -> [...]: sum_l mean_S psi-trace times mean_S tau-trace."""
    return (traces.psi[chosen].mean(-2) * traces.tau[chosen].mean(-2)).sum(-1)


def query_z(traces: Traces, chosen: Tensor, before: Traces | None = None) -> float:
    """Z of one query, positions [K], in float64; of it and the images of `before` together where those are given."""
    sides = [side[chosen].double() for side in traces]
    if before:
        sides = [torch.cat([side, other.double()]) for side, other in zip(sides, before, strict=True)]
    return float(mean_z(Traces(*sides), torch.arange(len(sides[0]), device=chosen.device)))


def mean_random_z(traces: Traces, n: int, rng: torch.Generator, draws: int = 100) -> float:
    """Mean Z of `draws` random queries of `n` candidates."""
    sets = torch.stack([torch.randperm(len(traces.psi), generator=rng)[:n] for _ in range(draws)])
    return float(mean_z(traces, sets.to(traces.psi.device)).mean())


def divergence(z: Tensor, target: Tensor) -> Tensor:
    """ln(z / T) + T / z: least at z = T, where it is 1; large and finite at z = 0."""
    z, target = z.clamp_min(SMALLEST), target.clamp_min(SMALLEST)
    return z.log() - target.log() + target / z


@dataclass(frozen=True)
class Energy:
    """Eq. 19 divided by the target T, in its scale-free form: gamma Zref / Z0 + g (ln(Z1 / T) + T / Z1).

    T is the sum of `targets`. With `by_block` every block has its own part T_l / T (ln(z_l / T_l) + T_l / z_l) in
    place of the logarithm of the sum: the divergence of block-diagonal Gaussians is a sum over their blocks.
    """

    targets: Tensor  # T_l, float64 [l]
    training: float = 0.0  # gamma Zref
    generalisation: float = 1.0  # g
    minimise: bool = True
    by_block: bool = False

    def __call__(self, z1: Tensor, z0: Tensor | None) -> Tensor:
        """What is to be least, [...], from Z0 and Z1 [...], or with `by_block` from z_l [..., l]."""
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
    """Z of the query so far with each candidate added, in float64 whatever the traces are kept in.

    `before`, [A, l], are images that count as chosen already.
    """

    def __init__(self, traces: Traces, before: Traces | None = None):
        self.traces = traces
        self.before = len(before.psi) if before else 0
        start = [side.double().sum(0) for side in before] if before else [side[0].double() * 0 for side in traces]
        self.psi, self.tau = start

    def with_each(self, size: int, rows: slice, by_block: bool = False) -> Tensor:
        """Z [D], or with `by_block` its parts z_l [D, l]; `size` counts the candidate in."""
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
    """Algorithm 1: add, `n` times, the candidate with the least energy of the query so far; positions int64 [n].

    Traces are [D, l]; `before`, [A, l], are those of images whose Z1 counts with the query's. `energy` is given Z1 and
    Z0 [D], or with `by_block` Z1's parts [D, l] and Z0. Every step scores all candidates, O(n D l) in all; ties fall to
    the earlier candidate. Memory beyond the traces is a byte a candidate.
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
    """The position of the least of all values, the earliest where several are least; ArithmeticError at a NaN."""
    values, positions = [], []
    for start, part in parts:
        if bool(part.isnan().any()):
            raise ArithmeticError("the free energy of a candidate is NaN: the net's gradients are not finite")
        position = part.argmin()
        values.append(part[position])
        positions.append(position + start)
    return torch.stack(positions)[torch.stack(values).argmin()]
