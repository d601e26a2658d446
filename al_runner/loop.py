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
from al_runner.pool import ImagesOf, Pool, balanced_ids, class_counts, random_ids
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, checked
from al_runner.types import DataSet, Fitted, Learner, TrainData, mean_log_probs


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

    @cached_property
    def plan(self) -> Budget:
        return self.strategy.plan(self.budget)

    @cached_property
    def purchases(self) -> list[int]:
        """Labels bought in every round; UsageError where the budget does not fit the data set."""
        sizes = self.plan.purchases(len(self.data.train))
        if self.plan.balanced:
            require_every_class(self.data, sizes[0], self.known)
        if self.plan.sets and not self.strategy.chooses_sets:
            raise UsageError(
                f"budget.sets is {self.plan.sets}, but {type(self.strategy).__name__} chooses image by image; "
                "use strategy=emoc, random, entropy, least_confidence, margin or confidence, or set budget.sets=null"
            )
        return sizes

    @property
    def known(self) -> int:
        """Classes that a balanced initial set is drawn from."""
        return self.plan.known or len(self.data.classes)

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
        learner = self.strategy.wrap(self.learner)
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
                record.buy(round_, ids, self.data.labels[ids], selecting, facts)
            pool.buy(ids.to(self.data.images.device))
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
            rng = streams("initial")
            if not self.plan.balanced:
                return Choice(random_ids(pool, size, rng))
            return Choice(balanced_ids(self.data, size, self.known, rng, streams("initial classes")))
        rng = streams("candidates")
        pool.draw_candidates(self.plan.candidate_count, rng)
        if self.plan.sets:
            pool.draw_sets(self.plan.sets, size, rng)
        answer = await self.strategy.query(fitted, pool, size, streams)
        return checked(answer, pool, size, type(self.strategy).__name__)

    def measurements(self, fitted: Fitted, pool: Pool) -> dict[str, float]:
        test_error, test_nll = score(fitted, self.data, self.data.test)
        return {
            "labelled": len(pool.labelled),
            "test_error": test_error,
            "test_accuracy": 1 - test_error,
            "val_error": score(fitted, self.data, self.data.val)[0],
            "train_error": score(fitted, self.data, pool.labelled)[0],
            "test_nll": test_nll,
            "steps": fitted.steps,
        }


def score(fitted: Fitted, data: DataSet, ids: Tensor) -> tuple[float, float]:
    """Error rate and mean negative log-likelihood (nats) of the mean prediction on `ids`."""
    mean = mean_log_probs(fitted.log_probs(data.images[ids]))
    labels = data.labels[ids]
    return float((mean.argmax(1) != labels).sum()) / len(ids), float(nll_loss(mean.double(), labels))


def require_every_class(data: DataSet, initial: int, known: int) -> None:
    """UsageError unless a balanced start of `initial` images of the first `known` classes can be had."""
    if known > len(data.classes):
        raise UsageError(f"budget.known is {known}, but the data set has {len(data.classes)} classes; lower it")
    each, more = divmod(initial, known)
    counts = class_counts(data)[:known]
    remedy = "lower budget.initial or set budget.balanced=false"
    for name, count in zip(data.classes, counts, strict=False):
        if count < each:
            raise UsageError(
                f"budget.balanced wants {each} images of class {name!r}, but the training set has {count}; {remedy}"
            )
    able = sum(count > each for count in counts)
    if able < more:
        raise UsageError(
            f"budget.balanced wants {each + 1} images of {more} classes, but {able} classes have so many; {remedy}"
        )
