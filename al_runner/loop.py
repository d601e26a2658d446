"""The experiment: choose, label, train from scratch, measure, record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import Protocol

from torch import Tensor
from torch.nn.functional import nll_loss

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.checked import Checked, CheckedFit
from al_runner.oracle.simulated import Simulated
from al_runner.pool import ImagesOf, Pool, random_ids
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, checked
from al_runner.types import (
    UNKNOWN,
    UNSURE,
    DataSet,
    Fitted,
    Judge,
    Learner,
    Oracle,
    TrainData,
    Unfitted,
    mean_log_probs,
)

DRAWN = ("random", "balanced")  # values of budget.initial_by that are no strategy
QUERY = "query"  # the name of images that are bought
SHOWN = 10  # images of a purchase that are recorded for people to look at
Asked = tuple[Tensor, float, Mapping[str, float]]  # ids of a choice, the seconds it took, and its facts


class Record(Protocol):
    """The record of a run. What it holds already is not done again."""

    def bought(self, round_: int) -> Tensor | None:
        """Ids bought in `round_`, int64, or None if that purchase is not recorded yet."""

    def asked(self, round_: int) -> Asked | None:
        """The choice of `round_`, its seconds and facts; None if no labels were asked for yet."""

    def ask(self, round_: int, ids: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        """A choice whose labels may be long in coming."""

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        """Record a purchase, the seconds that the choice took, and numbers that the strategy reports about it."""

    def made(self, round_: int, name: str, ids: Tensor, images: Tensor) -> None:
        """Images that were made for the purchase to come, uint8 [n, C, H, W].

        Of the name "query" they are what is bought, and the ids are theirs; of other names, only looked at.
        """

    def queried(self, round_: int) -> Tensor | None:
        """The images of a purchase that the strategy made, or None if they are the pool's."""

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        """Record the model's classes and confidence for the images of the next `buy`; nothing depends on them."""

    def measured(self, round_: int) -> bool: ...

    def measure(self, round_: int, row: dict[str, float], joules: float | None) -> None:
        """Record a round's measurements, and the joules that this process used for it (None: unknown)."""


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
        """Labels bought in every round. Raises UsageError if the budget does not fit the data set."""
        plan = replace(self.plan, initial=len(self.data.given)) if self.starts_given else self.plan
        sizes = plan.purchases(len(self.data.train))
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
    def starts_given(self) -> bool:
        """Whether the first purchase are the images that had their labels beforehand."""
        return len(self.data.given) > 0 and self.plan.initial != "all"

    @property
    def known(self) -> int:
        """How many classes a balanced initial set is drawn from."""
        return self.plan.known or len(self.data.classes)

    def simulated(self, option: str) -> Simulated:
        """The oracle. Raises UsageError if it does not know the labels beforehand, which `option` needs."""
        if not isinstance(self.oracle, Simulated):
            raise UsageError(f"{option} draws images by labels not bought yet; use oracle=simulated, or leave it out")
        return self.oracle

    async def run(
        self,
        record: Record,
        clock: Callable[[], float] = perf_counter,
        joules: Callable[[float], float | None] = lambda seconds: None,
        seen: Callable[[int, Fitted, Mapping[str, float]], None] = lambda round_, fitted, row: None,
    ) -> None:
        """Carry out every round in turn. Rounds that `record` holds are replayed from it and not done again.

        `clock` gives the seconds spent on this run, without other runs of the same process. `joules` turns seconds of
        this run into joules of its device (None: unknown). `seen` is shown every model with its measurements before
        they are recorded.
        """
        learner = Checked(self.strategy.wrap(self.learner), type(self.learner).__name__)
        pool = Pool(self.data)
        fitted: CheckedFit | None = None
        for round_, size in enumerate(self.purchases):
            ids, selecting = bought_again(record, pool, round_), 0.0
            if ids is not None:
                ids = ids.to(self.data.images.device)
                labels = await self.label(pool, ids)
            else:
                asked = asked_again(record, pool, round_)
                if asked is None and fitted is None and round_ > 0:  # resumed after a measurement, before the choice
                    fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_ - 1), None)
                if asked is None:
                    asked = await self.chosen(fitted, pool, size, round_, record, clock)
                selecting = asked[1]
                ids, labels = await self.purchase(record, pool, fitted, asked, round_)
            pool.buy(ids, labels)
            if record.measured(round_) and not learner.continues:
                continue
            start = clock()
            fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_), fitted)
            fitting = clock() - start
            if not record.measured(round_):
                row = {**self.measurements(fitted, pool), "fit_seconds": fitting}
                seen(round_, fitted, row)
                record.measure(round_, row, joules(fitting + selecting))

    async def again(self, record: Record) -> tuple[Fitted, Pool]:
        """The model of the newest round that `record` holds, fitted again, and its pool. Raises UsageError for none."""
        learner = Checked(self.strategy.wrap(self.learner), type(self.learner).__name__)
        pool, fitted, round_ = Pool(self.data), None, 0
        while record.measured(round_) and (ids := bought_again(record, pool, round_)) is not None:
            ids = ids.to(self.data.images.device)
            pool.buy(ids, await self.label(pool, ids))
            if learner.continues or not record.measured(round_ + 1):
                fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_), fitted)
            round_ += 1
        if fitted is None:
            raise UsageError("no round is measured yet, so there is no model; let the run go on first")
        return fitted, pool

    async def chosen(
        self, fitted: Fitted | None, pool: Pool, size: int, round_: int, record: Record, clock: Callable[[], float]
    ) -> Asked:
        """Choose the next purchase. It is recorded here if its labels may be long in coming."""
        start = clock()
        choice = await self.choose(fitted, pool, size, round_)
        selecting = clock() - start
        ids, facts, made = choice.chosen.to(self.data.images.device), choice.facts, choice.made
        if made is not None:
            ids = pool.add(made)
            record.made(round_, QUERY, ids, made)
        if fitted is not None:
            confidence, classes = mean_log_probs(fitted.log_probs(pool.x(ids))).exp().max(1)
            record.predicted(round_, ids, classes, confidence)
        if not isinstance(self.oracle, Simulated):  # a person may take a week: what is asked then stays as it is
            record.ask(round_, ids, selecting, facts)
        return ids, selecting, facts

    async def purchase(
        self, record: Record, pool: Pool, fitted: CheckedFit | None, asked: Asked, round_: int
    ) -> tuple[Tensor, Tensor]:
        """Record what the oracle says of a choice; ids and labels of the images that were bought, int64 [n] each.

        What a person could not tell, UNSURE, is not bought. Raises UsageError if no image of the first choice got a
        label. `fitted` None, in the first round or after a wait for labels, has no facts to add.
        """
        ids, seconds, facts = asked
        labels = await self.label(pool, ids)
        if round_ == 0 and not bool((labels >= 0).any()):
            raise UsageError(
                f"none of the first {len(ids)} images got a label, so there is nothing to train on; "
                "raise budget.initial and start anew with overwrite=true"
            )
        ids, labels = ids[labels != UNSURE], labels[labels != UNSURE]
        told = labels != UNKNOWN
        if fitted is not None and bool(told.any()):
            x, y = pool.x(ids[told]), labels[told]
            facts = {**facts, **fitted.facts(x, y)}
            for name, images in fitted.shown(x[:SHOWN], y[:SHOWN]).items():
                record.made(round_, name, ids[told][:SHOWN], images)
        if bool(self.of_strategy(ids).any()):
            facts = {**facts, "undecided": float((labels == UNKNOWN).sum())}
        record.buy(round_, ids, labels, seconds, facts)
        return ids, labels

    def of_strategy(self, ids: Tensor) -> Tensor:
        """Which ids are of images that the strategy made, bool [n]."""
        return ids >= len(self.data.images)

    async def label(self, pool: Pool, ids: Tensor) -> Tensor:
        """The oracle's labels, int64 [n]; of images that the strategy made, UNKNOWN if it can't tell."""
        if not bool(self.of_strategy(ids).any()):
            return await self.oracle.label(ids)
        if not isinstance(self.oracle, Judge):
            raise UsageError(
                f"{self.strategy.name} makes images of its own, which are in no data set; use oracle=classifier, "
                "or another oracle that can label any image"
            )
        return await self.oracle.judge(pool.x(ids))

    def train_data(self, pool: Pool) -> TrainData:
        unlabelled = ImagesOf(pool, pool.unlabelled)
        return TrainData(pool.x(pool.labelled), pool.y(pool.labelled), *self.data.validation, unlabelled, pool.old)

    async def choose(self, fitted: Fitted | None, pool: Pool, size: int, round_: int) -> Choice:
        """The next purchase: the initial set, or what the strategy selects. Raises UsageError if it can't be bought."""
        streams = Streams(self.seed, round_)
        if fitted is None:
            return await self.initial(pool, size, streams)
        rng = streams("candidates")
        pool.draw_candidates(self.plan.candidate_count, rng)
        if self.plan.sets:
            pool.offer(self.simulated("budget.sets").one_class_sets(pool.candidates, self.plan.sets, size, rng))
        return checked(await self.strategy.query(fitted, pool, size, streams), pool, size, self.strategy.name)

    async def initial(self, pool: Pool, size: int, streams: Streams) -> Choice:
        """The initial set: images that had labels beforehand, or what budget.initial_by chooses from the whole pool."""
        if self.starts_given:
            return Choice(self.data.given)
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
            "labelled": pool.asked,  # an answer that is no label costs as much
            "test_error": test_error,
            "test_accuracy": 1 - test_error,
            "val_error": score(fitted, *data.validation)[0],
            "train_error": score(fitted, pool.x(pool.labelled), pool.y(pool.labelled))[0],
            "test_nll": test_nll,
            "steps": fitted.steps,
            "pool_images": len(data.train),
            "test_images": len(data.test),
        }


def bought_again(record: Record, pool: Pool, round_: int) -> Tensor | None:
    """The ids of a recorded purchase, images that were made put back into the pool; None if it is still to come."""
    ids = record.bought(round_)
    made = None if ids is None else record.queried(round_)
    if made is not None:
        pool.add(made)
    return ids


def asked_again(record: Record, pool: Pool, round_: int) -> Asked | None:
    """A recorded choice, images that were made put back into the pool; None where it is still to come."""
    asked = record.asked(round_)
    if asked is None:
        return None
    ids, seconds, facts = asked
    made = record.queried(round_)
    if made is not None:
        pool.add(made)
    return ids.to(pool.unlabelled.device), seconds, facts


def score(fitted: Fitted, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Error rate and mean negative log-likelihood (nats) of the mean prediction for images [N, ...] and labels [N]."""
    mean = mean_log_probs(fitted.log_probs(x))
    return float((mean.argmax(1) != y).sum()) / len(y), float(nll_loss(mean.double(), y))
