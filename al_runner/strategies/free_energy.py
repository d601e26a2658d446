"""The variational free energy of a query from its images' traces, and the greedy search for the least.

D candidates, K images of a query, l blocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, log

import torch
from torch import Tensor

from al_runner.fisher import Traces

SMALLEST = 1e-200  # stands for a Z of 0 (no gradient at all), where the energy would be infinite
SCORED = 2**16  # candidates whose energies are held at once


def mean_z(traces: Traces, chosen: Tensor) -> Tensor:
    """Z of sets of candidates, positions [..., K] -> [...]: sum_l mean_S psi-trace times mean_S tau-trace."""
    return (traces.psi[chosen].mean(-2) * traces.tau[chosen].mean(-2)).sum(-1)


def mean_random_z(traces: Traces, n: int, rng: torch.Generator, draws: int = 100) -> float:
    """Mean Z of `draws` random queries of `n` candidates."""
    sets = torch.stack([torch.randperm(len(traces.psi), generator=rng)[:n] for _ in range(draws)])
    return float(mean_z(traces, sets.to(traces.psi.device)).mean())


@dataclass(frozen=True)
class Energy:
    """Eq. 19 divided by N, in its scale-free form: gamma Zref / Z0 + g (ln(Z1 / N) + N / Z1)."""

    total: float  # N
    training: float = 0.0  # gamma Zref
    generalisation: float = 1.0  # g
    minimise: bool = True

    def __call__(self, z1: Tensor, z0: Tensor | None) -> Tensor:
        """What is to be least, [...] each; large and finite at Z = 0."""
        z1 = z1.clamp_min(SMALLEST)
        energy = self.generalisation * (z1.log() - log(self.total) + self.total / z1)
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

    def with_each(self, size: int, rows: slice) -> Tensor:
        """[D]; `size` counts the candidate in."""
        total = ((self.psi + self.traces.psi[rows]) * (self.tau + self.traces.tau[rows])).sum(1)
        return total / (self.before + size) ** 2

    def add(self, best: Tensor) -> None:
        self.psi, self.tau = self.psi + self.traces.psi[best], self.tau + self.traces.tau[best]


def greedy(
    general: Traces,
    training: Traces | None,
    n: int,
    energy: Callable[[Tensor, Tensor | None], Tensor],
    before: Traces | None = None,
) -> Tensor:
    """Algorithm 1: add, `n` times, the candidate with the least energy of the query so far; positions int64 [n].

    Traces are [D, l]; `before`, [A, l], are those of images whose Z1 counts with the query's. Every step scores all
    candidates, O(n D l) in all; ties fall to the earlier candidate. Memory beyond the traces is a byte a candidate.
    """
    z1, z0 = _Growing(general, before), _Growing(training) if training else None
    closed = torch.zeros(len(general.psi), dtype=torch.bool, device=general.psi.device)
    chosen = []

    def energies(size: int) -> Iterator[tuple[int, Tensor]]:
        for start in range(0, len(closed), SCORED):
            rows = slice(start, start + SCORED)
            values = energy(z1.with_each(size, rows), z0.with_each(size, rows) if z0 else None)
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
