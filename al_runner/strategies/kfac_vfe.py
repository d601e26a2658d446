"""KFAC-VFE: batches by variational free energy through Kronecker-factored Fisher blocks (Ducoffe & Precioso, 2017).

S the query of K images being built, U the unlabelled and A the labelled images, D candidates, l layers, N parameters.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher import (
    Factors,
    Traces,
    capture,
    damped_inverse,
    mean_factors,
    nystrom_inverse,
    parameter_count,
    product_traces,
    squared_traces,
)
from al_runner.needs import Needs
from al_runner.pool import ImagesOf, Pool
from al_runner.strategies.base import Strategy
from al_runner.strategies.free_energy import Energy, greedy, mean_random_z
from al_runner.types import Fitted, Images

CHOICES = {
    "direction": ("minimise", "maximise"),
    "size": ("parameters", "effective"),
    "labels": ("predicted", "expected"),
    "start": ("empty", "labelled"),
}
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
    generalisation: float = 1.0  # weight of the generalisation factor; 0 leaves the training factor alone
    damping: float = 0.1  # relative: lam = damping * tr(M) / dim(M) for each inverted factor M
    invert_labelled: bool = False  # eqs. 13, 16, 17, 19 have the labelled factor itself; eq. 18, alg. 1 its inverse
    size: str = "parameters"  # N: "parameters", or "effective" = Z1 of the whole of U under damping
    labels: str = "predicted"  # as the published code has it; "expected": the mean over the net's own prediction
    start: str = "empty"  # "labelled": the labelled images count with the query, whose union stands for the pool
    pool_sample: int | None = None  # estimate the pool's factor from so many random unlabelled images; None: from all
    nystrom_rank: int | None = None  # invert larger factors from so many of their columns; None: all exactly
    skip_untreated: bool = False  # leave out layers without a Fisher block, and their parameters out of N
    needs: ClassVar[Needs] = Needs(network=True)

    def __post_init__(self) -> None:
        for field, allowed in CHOICES.items():
            if getattr(self, field) not in allowed:
                raise UsageError(f"strategy.{field} is {getattr(self, field)!r}; choose one of {', '.join(allowed)}")
        for field in ("gamma", "generalisation"):
            if not getattr(self, field) >= 0:
                raise UsageError(f"strategy.{field} is {getattr(self, field)}; it must be 0 or more")
        if self.gamma == self.generalisation == 0:
            raise UsageError("strategy.gamma and strategy.generalisation are both 0; one must be above 0")
        if not self.damping > 0:
            raise UsageError(f"strategy.damping is {self.damping}; it must be above 0 (0.1 is the default)")
        if self.pool_sample is not None and self.pool_sample < 1:
            raise UsageError(f"strategy.pool_sample is {self.pool_sample}; it must be 1 or more, or null for all")
        if self.nystrom_rank is not None and self.nystrom_rank < 1:
            raise UsageError(f"strategy.nystrom_rank is {self.nystrom_rank}; it must be 1 or more, or null for exact")

    @property
    def draws(self) -> bool:
        return bool(self.gamma) or self.pool_sample is not None or self.nystrom_rank is not None

    def check(self, net: nn.Module, x: Tensor) -> None:
        capture(net, x, skip_untreated=self.skip_untreated)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        labelled = ((pool.x(ids), pool.y(ids)) for ids in pool.labelled.split(CHUNK))
        unlabelled, candidates = ImagesOf(pool, pool.unlabelled), ImagesOf(pool, pool.candidates)
        return pool.candidates[self.choose(fitted.network(), unlabelled, n, candidates, labelled, rng)]

    def choose(
        self,
        net: nn.Module,
        unlabelled: Images,
        n: int,
        candidates: Images | None = None,
        labelled: Iterable[tuple[Tensor, Tensor]] | None = None,
        rng: torch.Generator | None = None,
        factors: dict[str, Factors] | None = None,
    ) -> Tensor:
        """The query's positions among the candidates (by default all of `unlabelled`), int64 [n].

        For any classifier in evaluation mode, from its inputs to logits [n, classes], and inputs on its device.
        `labelled`, batches of inputs and labels, are read where gamma > 0 or start is "labelled"; `rng`, by default
        seeded with 0, where pool_sample, nystrom_rank or gamma are set. Images are read a few at a time. `factors`
        stand for the mean factors of `unlabelled` where those are known already.
        """
        candidates = unlabelled if candidates is None else candidates
        if not 1 <= n <= len(candidates):
            raise UsageError(f"{n} of {len(candidates)} candidates were asked for; ask for 1 or more, and no more")
        if labelled is None and (self.gamma or self.start == "labelled"):
            raise UsageError("gamma above 0 and start=labelled need labelled images; give them, or leave both out")
        labelled = list(labelled or ())
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        if factors is None:
            sample = self._sampled(unlabelled, rng)
            batches = ((x, None) for x in _batches(unlabelled, sample))
            factors = mean_factors(net, batches, self.skip_untreated, self._expected)
        inverses = self._inverted(factors, rng)
        general = product_traces(net, _batches(candidates), inverses, len(candidates), self._expected)
        before = product_traces(net, labelled, inverses, None, self._expected) if self.start == "labelled" else None
        training = self._training_traces(net, candidates, labelled, rng) if self.gamma else None
        total = parameter_count(factors) if self.size == "parameters" else _effective_size(factors, inverses)
        reference = mean_random_z(training, n, rng) if training else 0.0
        energy = Energy(total, self.gamma * reference, self.generalisation, self.direction == "minimise")
        return greedy(general, training, n, energy, before)

    @property
    def _expected(self) -> bool:
        return self.labels == "expected"

    def _sampled(self, unlabelled: Images, rng: torch.Generator) -> Tensor | None:
        """Positions of the images that the pool's factors are estimated from; None stands for all."""
        if self.pool_sample is None or self.pool_sample >= len(unlabelled):
            return None
        return torch.randperm(len(unlabelled), generator=rng)[: self.pool_sample]

    def _training_traces(
        self, net: nn.Module, candidates: Images, labelled: Iterable[tuple[Tensor, Tensor]], rng: torch.Generator
    ) -> Traces:
        factors = mean_factors(net, labelled, self.skip_untreated, self._expected)
        middle = self._inverted(factors, rng) if self.invert_labelled else factors
        return squared_traces(net, _batches(candidates), middle, len(candidates), self._expected)

    def _inverted(self, factors: dict[str, Factors], rng: torch.Generator) -> dict[str, Factors]:
        return {name: Factors(self._inverse(psi, rng), self._inverse(tau, rng)) for name, (psi, tau) in factors.items()}

    def _inverse(self, matrix: Tensor, rng: torch.Generator) -> Tensor:
        size, rank = len(matrix), self.nystrom_rank
        if rank is None or size <= rank:
            return damped_inverse(matrix, self.damping)
        return nystrom_inverse(matrix, self.damping, torch.randperm(size, generator=rng)[:rank].to(matrix.device))


def _batches(images: Images, positions: Tensor | None = None) -> Iterator[Tensor]:
    """All images, or those at `positions`, a few at a time."""
    if positions is not None:
        return (images[rows] for rows in positions.split(CHUNK))
    return (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))


def _effective_size(factors: dict[str, Factors], inverses: dict[str, Factors]) -> float:
    """N_eff = sum_l tr(psi (psi + lam)^-1) tr(tau (tau + lam)^-1), the Z1 of the pool itself."""
    pairs = ((factors[name], inverses[name]) for name in factors)
    return float(sum((f.psi * i.psi).sum() * (f.tau * i.tau).sum() for f, i in pairs))
