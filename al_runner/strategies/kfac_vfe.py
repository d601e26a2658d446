"""KFAC-VFE: batches by variational free energy through Kronecker-factored Fisher blocks (Ducoffe & Precioso, 2017).

S the query of K images being built, U the unlabelled and A the labelled images, D candidates, l layers, N parameters.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import StringConstraints
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher import (
    Factors,
    Traces,
    capture,
    damped_inverse,
    mean_factors,
    nystrom_inverse,
    product_traces,
    squared_traces,
)
from al_runner.needs import Needs
from al_runner.pool import ImagesOf, Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, NotNegative, Positive, Reads
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice
from al_runner.strategies.free_energy import Energy, greedy, mean_random_z, query_z
from al_runner.strategies.target import grows, multiple, sizes
from al_runner.types import Fitted, Images

Target = (
    Positive
    | Literal["parameters", "growing"]
    | Annotated[str, StringConstraints(pattern=r"^labels/\d+(\.\d+)?$"), Reads("a schedule such as labels/40")]
)
CHUNK = 128  # images a backward pass: a layer's patches then stay within tens of megabytes


@options("strategy")
@dataclass(frozen=True)
class KfacVfe(Strategy):
    """Greedily builds the query whose Fisher information stands for the pool's (algorithm 1).

    With Z1 = sum_l mean_S tr(psi_x psi_U^-1) mean_S tr(tau_x tau_U^-1), the generalisation factor (eq. 15, 19) is
    ln(Z1 / T) + T / Z1, where the target T is N in the paper. With Z0 = sum_l mean_S tr(psi_x M psi_x)
    mean_S tr(tau_x M' tau_x), where (M, M') is the labelled factor, the training factor (eq. 13, 19) is
    gamma * Zref / Z0: Zref, the mean Z0 of random queries of the same size, stands for the paper's scale
    N^3 / sqrt(pi), which would drown the other term.
    The paper's contradictions are options; the defaults are what its algebra and measurement support.
    """

    direction: Annotated[
        Literal["minimise", "maximise"], Means("buy the query of least or of greatest free energy")
    ] = "minimise"
    gamma: Annotated[NotNegative, Means("weight of the training factor, in units of a random query's")] = 0.0
    generalisation: Annotated[
        NotNegative, Means("weight of the generalisation factor; 0 leaves the training factor alone")
    ] = 1.0
    damping: Annotated[Positive, Means("what is added to an inverted factor, relative to its mean eigenvalue")] = 0.1
    invert_labelled: Annotated[bool, Means("the training factor takes the labelled images' factor inverted")] = False
    target: Annotated[
        Target,
        Means("what the query's Z1 is compared with: N, so many times the pool's own Z1, or more with more labels"),
    ] = "parameters"
    energy: Annotated[
        Literal["total", "blocks"], Means("the target is one for the sum of all blocks, or each block has its own")
    ] = "total"
    labels: Annotated[
        Literal["predicted", "expected"],
        Means("labels of unlabelled images: the prediction, or the mean over it, a backward pass a class"),
    ] = "predicted"
    start: Annotated[
        Literal["empty", "labelled"],
        Means("what stands for the pool: the query, or the query and the labelled images together"),
    ] = "empty"
    pool_sample: Annotated[
        Count | None, Means("unlabelled images, drawn at random, that the pool's factors are estimated from; null: all")
    ] = None
    nystrom_rank: Annotated[
        Count | None, Means("larger factors are inverted from so many of their columns; null: all exactly")
    ] = None
    skip_untreated: Annotated[
        bool,
        Means(
            "leave out layers without a Fisher block, and their parameters out of N; false: refuse a net that has some"
        ),
    ] = False
    needs: ClassVar[Needs] = Needs(network=True)

    def __post_init__(self) -> None:
        multiple(self.target, 0, 1)
        if self.target == "growing" and self.start == "labelled":
            raise UsageError("target=growing and start=labelled both count the labelled images; leave one of them out")
        if self.gamma == self.generalisation == 0:
            raise UsageError("strategy.gamma and strategy.generalisation are both 0; one must be above 0")

    @property
    def draws(self) -> bool:
        return bool(self.gamma) or self.pool_sample is not None or self.nystrom_rank is not None

    def check(self, net: nn.Module, x: Tensor) -> None:
        capture(net, x, skip_untreated=self.skip_untreated)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return self.explained(fitted, pool, n, rng).chosen

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
        return self.explained(fitted, pool, n, streams("query"))

    def explained(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Choice:
        """The ids of `select`, with the facts of `choose`."""
        labelled = ((pool.x(ids), pool.y(ids)) for ids in pool.labelled.split(CHUNK))
        unlabelled, candidates = ImagesOf(pool, pool.unlabelled), ImagesOf(pool, pool.candidates)
        choice = self.choose(fitted.network(), unlabelled, n, candidates, labelled, rng)
        return choice._replace(chosen=pool.candidates[choice.chosen])

    def choose(
        self,
        net: nn.Module,
        unlabelled: Images,
        n: int,
        candidates: Images | None = None,
        labelled: Iterable[tuple[Tensor, Tensor]] | None = None,
        rng: torch.Generator | None = None,
        factors: dict[str, Factors] | None = None,
    ) -> Choice:
        """The query's positions among the candidates (by default all of `unlabelled`), and what was optimised.

        Its facts are those of `Sizes.facts`; with start "labelled" Z1 is that of the query and the labelled images
        together.

        For any classifier in evaluation mode, from its inputs to logits [n, classes], and inputs on its device.
        `labelled`, batches of inputs and labels, are needed where gamma > 0 or start is "labelled", and where the
        target grows, which counts them. `rng`, by default seeded with 0, serves pool_sample, nystrom_rank and gamma.
        Images are read a few at a time. `factors` stand for the mean factors of `unlabelled` where those are known.
        """
        candidates = unlabelled if candidates is None else candidates
        self._require(n, candidates, labelled)
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
        pool = sizes(factors, inverses)
        targets = pool.targets(multiple(self.target, sum(len(x) for x, _ in labelled), n))
        reference = self.gamma * mean_random_z(training, n, rng) if training else 0.0
        by_block = self.energy == "blocks"
        energy = Energy(targets, reference, self.generalisation, self.direction == "minimise", by_block)
        chosen = greedy(general, training, n, energy, before, by_block)
        return Choice(chosen, pool.facts(query_z(general, chosen, before), targets))

    def _require(self, n: int, candidates: Images, labelled: object) -> None:
        """UsageError where so many can't be chosen, or what the options need is not given."""
        if not 1 <= n <= len(candidates):
            raise UsageError(f"{n} of {len(candidates)} candidates were asked for; ask for 1 or more, and no more")
        if labelled is None and (self.gamma or self.start == "labelled" or grows(self.target)):
            raise UsageError(
                "gamma above 0, start=labelled and a target that grows need labelled images; give them, or leave it out"
            )

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
