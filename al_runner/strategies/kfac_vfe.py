"""KFAC-VFE: batches with the least variational free energy, from Kronecker-factored Fisher blocks.

Source: Ducoffe & Precioso (2017). S the query of K images that is being built, U the unlabelled and A the labelled
images, D candidates, l blocks, N parameters.
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
from al_runner.strategies.features import ids_in_parts
from al_runner.strategies.free_energy import FreeEnergy, greedy, mean_random_z, query_z
from al_runner.strategies.target import grows, multiple, sizes
from al_runner.system.chunks import at_once
from al_runner.types import Fitted, Images

Target = (
    Positive
    | Literal["parameters", "growing"]
    | Annotated[str, StringConstraints(pattern=r"^labels/\d+(\.\d+)?$"), Reads("a schedule such as labels/40")]
)
CHUNK = 128  # images in one backward pass, or fewer large ones; the patches of a layer then take only tens of megabytes


@options("strategy")
@dataclass(frozen=True)
class KfacVfe(Strategy):
    """Greedily builds the query whose Fisher information is like the pool's (algorithm 1).

    Let Z1 = sum_l mean_S tr(psi_x psi_U^-1) mean_S tr(tau_x tau_U^-1). The generalisation factor (eq. 15, 19) is ln(Z1
    / T) + T / Z1. The target T is N in the paper; the default here grows with the labels (see target.py). Let Z0 =
    sum_l mean_S tr(psi_x M psi_x) mean_S tr(tau_x M' tau_x), where M and M' are the labelled set's factors. The
    training factor (eq. 13, 19) is gamma * Zref / Z0. Zref is the mean Z0 of random queries of the same size. It
    replaces the paper's scale N^3 / sqrt(pi), beside which the other term would not count.
    The paper contradicts itself in several places. Each of them is an option; the defaults are the values that the
    algebra and measurements support.
    """

    direction: Annotated[
        Literal["minimise", "maximise"], Means("choose the query with the least or with the greatest free energy")
    ] = "minimise"
    gamma: Annotated[NotNegative, Means("weight of the training factor, in units of a random query's")] = 0.0
    generalisation: Annotated[
        NotNegative, Means("weight of the generalisation factor; 0: only the training factor counts")
    ] = 1.0
    damping: Annotated[
        Positive, Means("this is added to a factor before it is inverted, relative to its mean eigenvalue")
    ] = 0.1
    invert_labelled: Annotated[bool, Means("invert the labelled images' factors in the training factor")] = False
    target: Annotated[
        Target,
        Means("the number that Z1 is compared with: N, a multiple of the pool's own Z1, or one that grows with labels"),
    ] = "growing"
    energy: Annotated[
        Literal["total", "blocks"], Means("one target for the sum of all blocks, or a target for each block")
    ] = "total"
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
    nystrom_rank: Annotated[
        Count | None,
        Means("the number of columns from which a larger factor is inverted approximately; null: invert all exactly"),
    ] = None
    skip_untreated: Annotated[
        bool,
        Means("leave out layers without a Fisher block, also from N; false: refuse a net with such layers"),
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
        """The ids that `select` returns, with the facts from `choose`."""
        labelled = ((pool.x(ids), pool.y(ids)) for ids in ids_in_parts(pool, pool.labelled, CHUNK))
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
        """The query's positions among `candidates` (by default all of `unlabelled`), and facts about the choice.

        The facts are those of `Sizes.facts`. With start "labelled", Z1 is that of the query and the labelled images
        together.

        `net` is any classifier in evaluation mode that maps inputs to logits [n, classes]; the inputs are on its
        device. `labelled` are batches of inputs and labels. They are needed if gamma is above 0, if start is
        "labelled", or if the target grows with labels. `rng` (default: seed 0) is used by pool_sample, nystrom_rank
        and gamma. `factors` are the mean factors of `unlabelled`, if they are known already. Images are read a few at
        a time. Raises UsageError if `n` is not from 1 to the number of candidates, or if `labelled` is missing.
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
        energy = FreeEnergy(targets, reference, self.generalisation, self.direction == "minimise", by_block)
        chosen = greedy(general, training, n, energy, before, by_block)
        return Choice(chosen, pool.facts(query_z(general, chosen, before), targets))

    def _require(self, n: int, candidates: Images, labelled: object) -> None:
        """Raises UsageError if `n` images can't be chosen, or if the options need `labelled` and it is None."""
        if not 1 <= n <= len(candidates):
            raise UsageError(f"{n} of {len(candidates)} candidates were asked for; ask for 1 to {len(candidates)}")
        if labelled is None and (self.gamma or self.start == "labelled" or grows(self.target)):
            raise UsageError(
                "gamma above 0, start=labelled and a target that grows need labelled images; "
                "give labelled=, or change these options"
            )

    @property
    def _expected(self) -> bool:
        return self.labels == "expected"

    def _sampled(self, unlabelled: Images, rng: torch.Generator) -> Tensor | None:
        """Positions of the images from which the pool's factors are estimated; None means all images."""
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
    """All images, or only those at `positions`, in batches of CHUNK, or of fewer if the images are large."""
    size = at_once(CHUNK, images[:1].numel())
    if positions is not None:
        return (images[rows] for rows in positions.split(size))
    return (images[start : start + size] for start in range(0, len(images), size))
