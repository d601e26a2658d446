"""SelectAL: which labels are missed most when they are taken away says who chooses (Hacohen & Weinshall, 2023).

L labelled images, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.gather import gather
from al_runner.pool import Pool, shuffled
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means, ProperShare
from al_runner.strategies.base import Several, Strategy
from al_runner.strategies.choice import Choice
from al_runner.strategies.clusters import clusters
from al_runner.strategies.coverage import points
from al_runner.strategies.features import mean_log_probs_of
from al_runner.strategies.proposals import require_choosers
from al_runner.strategies.ranges import finite
from al_runner.strategies.typiclust import TypiClust, typical
from al_runner.types import Fitted, Learner, TrainData
from al_runner.wrapped import Wrapped, WrappedFit, inner, part_of

FACTS = ("accuracy_without_typical", "accuracy_without_random", "accuracy_without_atypical")  # of low, middle, high
FEWEST = 2  # images that a net can be trained on: BatchNorm needs two


@dataclass(frozen=True)
class Repeatable(WrappedFit):
    """A fit, and the learner and data by which parts of the labelled set are fitted in the same way."""

    learner: Learner
    data: TrainData

    async def accuracy(self, pool: Pool, train: Tensor, test: Tensor, streams: Streams) -> float:
        """The share of the labelled images `test` that a fit on the labelled images `train` predicts right."""
        part = self.data._replace(x=pool.x(train), y=pool.y(train), old=0, added=0)
        fitted = await self.learner.fit(part, streams, None)
        predicted = finite(mean_log_probs_of(fitted, pool, test).exp(), "a probability").argmax(1)
        return float((predicted == pool.y(test)).double().mean())


@dataclass(frozen=True)
class Repeating(Wrapped):
    """Fits as `base` does; the fits are `Repeatable`."""

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Repeatable:
        fitted = await self.base.fit(data, streams, inner(previous, Repeatable))
        return Repeatable(fitted, self.base, data)


def removed_counts(y: Tensor, share: float) -> dict[int, int]:
    """How many images of each class are taken away, from the labels, [L]: as many of each, `share` of all together.

    It is at least one of each class, if the class keeps one.
    """
    labels, sizes = y.unique(return_counts=True)
    each = max(int(share * len(y)) // max(len(labels), 1), 1)
    return {int(label): min(each, int(size) - 1) for label, size in zip(labels, sizes, strict=True)}


def at_random(y: Tensor, counts: dict[int, int], rng: torch.Generator) -> Tensor:
    """Positions of `counts` random images of each class, [L] -> int64 [sum of counts]."""
    return torch.cat([shuffled((y == label).nonzero()[:, 0], rng)[:count] for label, count in counts.items()])


def by_typicality(x: Tensor, y: Tensor, counts: dict[int, int], rng: torch.Generator, least: bool) -> Tensor:
    """Positions of the most, or the `least`, typical image of each cluster, [L, D], [L] -> int64 [sum of counts].

    k-means makes as many clusters of a class as images of it are wanted.
    """
    chosen = [y.new_zeros(0)]
    for label, count in counts.items():
        if count:
            at = (y == label).nonzero()[:, 0]
            cluster = clusters(x[at], count, rng)[0]
            unknown = torch.zeros_like(at, dtype=torch.bool)
            chosen.append(at[typical(x[at], cluster, unknown, count, TypiClust.neighbours, 0, least)])
    return torch.cat(chosen)


@options("strategy")
@dataclass(frozen=True)
class SelectAL(Several):
    """Trains nets without the typical labelled images, without the atypical ones, and without random ones.

    The removal after which the nets are worst names the images that the net needs: `low` chooses if the typical ones
    are missed most, `high` if it is the atypical ones, and `middle` if it is the random ones; chance breaks ties. The
    nets are trained as the run's own, but always from new weights, and judged on labelled images that are held out. The
    hold-outs are drawn from all images that the run trains on and are the same for every removal; the code of Huseljic
    et al. (2025) draws them from the images that are left. Each class keeps one image or more. With so few labels that
    nothing can be taken away, `low` chooses. Typicality is that of `TypiClust`, within a class.
    """

    low: Annotated[InstanceOf[Strategy], Means("the strategy for few labels")]
    middle: Annotated[InstanceOf[Strategy], Means("the strategy between few and many labels")]
    high: Annotated[InstanceOf[Strategy], Means("the strategy for many labels")]
    removed: Annotated[
        ProperShare, Means("share of the labelled images that is taken away, the same number of each class")
    ] = 0.05
    held_out: Annotated[ProperShare, Means("share of the labelled images on which a trial net is judged")] = 0.05
    hold_outs: Annotated[Few, Means("times that images are held out; each is one training for every removal")] = 5
    random_removals: Annotated[Few, Means("times that random images are taken away; their mean counts")] = 5
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for option in ("low", "middle", "high"):
            require_choosers([getattr(self, option)], option)

    @property
    def inner(self) -> Sequence[Strategy]:
        return self.low, self.middle, self.high

    def wrap(self, learner: Learner) -> Learner:
        return Repeating(super().wrap(learner))

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
        """The choice of the strategy whose regime it is. Raises UsageError if nets can't be trained on trial."""
        fit = part_of(fitted, Repeatable)
        if fit is None:
            raise UsageError(f"{self.name} trains nets on parts of the labelled set; use al_runner.run")
        finite(mean_log_probs_of(fitted, pool, pool.training).exp(), "a probability")  # before any trial
        removals, holds = self.removals(pool, streams), self.holds(len(pool.training), streams)
        facts: dict[str, float] = {}
        regime = 0
        if len(removals[0][0]) and len(pool.training) - len(removals[0][0]) - len(holds[0]) >= FEWEST:
            values = await accuracies(fit, pool, removals, holds, streams)
            facts = dict(zip(FACTS, values, strict=True))
            worst = [place for place, value in enumerate(values) if value == min(values)]
            regime = worst[int(torch.randint(len(worst), (1,), generator=streams("tie")))]
        answer = await self.inner[regime].query(fitted, pool.in_order(), n, streams)
        choice = answer if isinstance(answer, Choice) else Choice(answer)
        return choice._replace(facts={**choice.facts, **facts, "regime": regime})

    def removals(self, pool: Pool, streams: Streams) -> list[list[Tensor]]:
        """Positions in `pool.training` of the typical images, several draws of random ones, and the atypical ones."""
        x, y = points(pool, pool.training), pool.y(pool.training)
        counts = removed_counts(y, self.removed)
        typical_ones, atypical_ones = (
            by_typicality(x, y, counts, streams("clusters"), least) for least in (False, True)
        )
        draws = [at_random(y, counts, streams(f"removal {draw}")) for draw in range(self.random_removals)]
        return [[typical_ones], draws, [atypical_ones]]

    def holds(self, labelled: int, streams: Streams) -> list[Tensor]:
        """Positions of the labelled images of each hold-out, at least one in each."""
        count, places = max(int(self.held_out * labelled), 1), torch.arange(labelled)
        return [shuffled(places, streams(f"hold-out {hold}"))[:count] for hold in range(self.hold_outs)]


async def accuracies(
    fit: Repeatable, pool: Pool, removals: Sequence[Sequence[Tensor]], holds: Sequence[Tensor], streams: Streams
) -> list[float]:
    """The mean accuracy after each kind of removal, over its draws and the hold-outs.

    All nets of a hold-out draw from the same streams, and all nets are asked for at once.
    """
    trials = []
    for gone in (draw for draws in removals for draw in draws):
        for hold, held in enumerate(holds):
            left = torch.ones(len(pool.training), dtype=torch.bool, device=pool.training.device)
            left[gone] = left[held] = False
            train, test = pool.training[left], pool.training[held]
            trials.append(fit.accuracy(pool, train, test, streams.of(f"trial {hold}")))
    values = iter(await gather(trials))
    return [fmean(next(values) for _ in range(len(draws) * len(holds))) for draws in removals]
