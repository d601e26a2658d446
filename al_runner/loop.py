"""The experiment: acquire, label, train from scratch, measure, record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Protocol

from torch import Tensor
from torch.nn.functional import nll_loss

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.checked import Checked
from al_runner.oracle.simulated import Simulated
from al_runner.pool import ImagesOf, Pool, random_ids
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, checked
from al_runner.types import DataSet, Fitted, Learner, Oracle, TrainData, Unfitted, mean_log_probs

DRAWN = ("random", "balanced")  # of budget.initial_by, what is no strategy


class Record(Protocol):
    """Where a run is kept; what it holds already is not done again."""

    def bought(self, round_: int) -> Tensor | None:
        """Ids bought in `round_`, or None where that purchase is still to come."""

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        """A purchase, the seconds that choosing took, and what the strategy reports of its choice."""

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        """What the model says of the images of the `buy` to come, their labels unknown; nothing depends on it."""

    def measured(self, round_: int) -> bool: ...

    def measure(self, round_: int, row: dict[str, float], joules: float | None) -> None:
        """A round's measurements; `joules` that this process used for it, None where that is unknown."""


@dataclass(frozen=True)
class Experiment:
    """One run, ready to start."""

    data: DataSet
    learner: Learner
    strategy: Strategy
    budget: Budget
    seed: int
    oracle: Oracle
    first: Strategy | None = None  # chooses the initial set where budget.initial_by names a strategy

    @cached_property
    def plan(self) -> Budget:
        return self.strategy.plan(self.budget)

    @cached_property
    def purchases(self) -> list[int]:
        """Labels bought in every round; UsageError where the budget does not fit the data set."""
        sizes = self.plan.purchases(len(self.data.train))
        if self.plan.balanced:
            self.simulated("budget.initial_by=balanced").require_every_class(sizes[0], self.known)
        if self.plan.initial_by not in DRAWN and self.first is None:
            raise UsageError(f"budget.initial_by is {self.plan.initial_by}, and no such strategy was given")
        if self.plan.sets:
            self.simulated("budget.sets")
            if not self.strategy.chooses_sets:
                raise UsageError(
                    f"budget.sets is {self.plan.sets}, but {self.strategy.name} chooses image by image; "
                    "use a strategy that can buy sets, such as strategy=emoc or entropy, or set budget.sets=null"
                )
        return sizes

    @property
    def known(self) -> int:
        """Classes that a balanced initial set is drawn from."""
        return self.plan.known or len(self.data.classes)

    def simulated(self, option: str) -> Simulated:
        """The oracle; UsageError where it does not know the labels beforehand, as `option` wants it to."""
        if not isinstance(self.oracle, Simulated):
            raise UsageError(f"{option} draws images by labels not bought yet; use oracle=simulated, or leave it out")
        return self.oracle

    async def run(
        self,
        record: Record,
        clock: Callable[[], float] = perf_counter,
        joules: Callable[[float], float | None] = lambda seconds: None,
    ) -> None:
        """Every round in turn; rounds that `record` holds are replayed from it, not done again.

        `clock` gives the seconds spent on this run, which is not alone where many runs share a process; `joules` tells
        what the device used for so many seconds of this run.
        """
        learner = Checked(self.strategy.wrap(self.learner), type(self.learner).__name__)
        pool = Pool(self.data)
        fitted: Fitted | None = None
        for round_, size in enumerate(self.purchases):
            ids, selecting = record.bought(round_), 0.0
            if ids is None:
                if fitted is None and round_ > 0:  # resumed between a measurement and the next purchase
                    fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_ - 1), None)
                start = clock()
                ids, facts = await self.choose(fitted, pool, size, round_)
                selecting = clock() - start
                if fitted is not None:
                    confidence, classes = mean_log_probs(fitted.log_probs(self.data.images[ids])).exp().max(1)
                    record.predicted(round_, ids, classes, confidence)
                record.buy(round_, ids, await self.oracle.label(ids), selecting, facts)
            ids = ids.to(self.data.images.device)
            pool.buy(ids, await self.oracle.label(ids))
            if record.measured(round_) and not learner.continues:
                continue
            start = clock()
            fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_), fitted)
            fitting = clock() - start
            if not record.measured(round_):
                row = {**self.measurements(fitted, pool), "fit_seconds": fitting}
                record.measure(round_, row, joules(fitting + selecting))

    def train_data(self, pool: Pool) -> TrainData:
        unlabelled = ImagesOf(pool, pool.unlabelled)
        return TrainData(pool.x(pool.labelled), pool.y(pool.labelled), *self.data.validation, unlabelled, pool.old)

    async def choose(self, fitted: Fitted | None, pool: Pool, size: int, round_: int) -> Choice:
        """The next purchase: the initial set, then what the strategy selects; UsageError unless it can be bought."""
        streams = Streams(self.seed, round_)
        if fitted is None:
            return await self.initial(pool, size, streams)
        rng = streams("candidates")
        pool.draw_candidates(self.plan.candidate_count, rng)
        if self.plan.sets:
            pool.offer(self.simulated("budget.sets").one_class_sets(pool.candidates, self.plan.sets, size, rng))
        return checked(await self.strategy.query(fitted, pool, size, streams), pool, size, self.strategy.name)

    async def initial(self, pool: Pool, size: int, streams: Streams) -> Choice:
        """The initial set, by budget.initial_by: at random, by class, or by a strategy, from all of the pool."""
        rng = streams("initial")
        if self.plan.balanced:
            simulated = self.simulated("budget.initial_by=balanced")
            return Choice(simulated.balanced_ids(size, self.known, rng, streams("initial classes")))
        if self.first is None or self.plan.initial_by == "random":
            return Choice(random_ids(pool, size, rng))
        pool.draw_candidates(len(pool.unlabelled), streams("candidates"))
        return checked(await self.first.query(Unfitted(), pool, size, streams), pool, size, self.first.name)

    def measurements(self, fitted: Fitted, pool: Pool) -> dict[str, float]:
        data = self.data
        test_error, test_nll = score(fitted, data.images[data.test], data.labels[data.test])
        return {
            "labelled": len(pool.labelled),
            "test_error": test_error,
            "test_accuracy": 1 - test_error,
            "val_error": score(fitted, *data.validation)[0],
            "train_error": score(fitted, pool.x(pool.labelled), pool.y(pool.labelled))[0],
            "test_nll": test_nll,
            "steps": fitted.steps,
            "pool_images": len(data.train),
            "test_images": len(data.test),
        }


def score(fitted: Fitted, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Error rate and mean negative log-likelihood (nats) of the mean prediction, on images [N, ...] of labels [N]."""
    mean = mean_log_probs(fitted.log_probs(x))
    return float((mean.argmax(1) != y).sum()) / len(y), float(nll_loss(mean.double(), y))
