"""The experiment: choose, label, train from scratch, measure, record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from time import perf_counter

from torch import Tensor

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS, UNKNOWN, UNSURE
from al_runner.learners.checked import Checked, CheckedFit, require_evaluation
from al_runner.loop.initial import InitialSet
from al_runner.loop.measure import measurements
from al_runner.loop.replay import recorded_purchase, recorded_query
from al_runner.loop.set_aside import new_pool
from al_runner.loop.stopping import COLUMN, Stopping, Watch, round_of_end
from al_runner.loop.trials import Trials
from al_runner.oracle.simulated import Simulated, simulated
from al_runner.pool import ImagesOf, Pool
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, checked
from al_runner.types import ByClass, DataSet, Fitted, Judge, Learner, Oracle, Query, Record, TrainData, mean_log_probs

QUERY = "query"  # the name of images that are bought
SHOWN = 10  # images of a purchase that are recorded for people to look at


@dataclass(frozen=True)
class Experiment:
    """One run, ready to start."""

    data: DataSet
    learner: Learner
    strategy: Strategy
    budget: Budget
    seed: int
    oracle: Oracle
    first: Strategy | None = None  # chooses the initial set if budget.initial_by names a strategy
    stopping: Stopping | None = None  # rules that are recorded, one of which may end the run

    @cached_property
    def plan(self) -> Budget:
        return self.strategy.plan(self.budget)

    @cached_property
    def initial(self) -> InitialSet:
        return InitialSet(self.data, self.plan, self.oracle, self.first)

    @cached_property
    def purchases(self) -> list[int]:
        """Labels bought in every round. Raises UsageError if the budget does not fit the data set."""
        pool, plan, given = len(self.data.train), self.plan, len(self.data.given)
        if self.initial.given:
            plan = replace(plan, initial=given)
            if given > plan.end(pool):
                raise UsageError(
                    f"{given} of {pool} images have labels already, and the run may have at most {plan.end(pool)}; "
                    "raise budget.max_labelled and budget.max_fraction, as in budget.max_fraction=1"
                )
        sizes = plan.purchases(pool)
        self.initial.require(sizes[0])
        if self.plan.sets:
            simulated(self.oracle, "budget.sets")
            if not self.strategy.chooses_sets:
                raise UsageError(
                    f"budget.sets is {self.plan.sets}, but {self.strategy.name} chooses image by image; "
                    "use a strategy that can buy sets, such as strategy=emoc or entropy, or set budget.sets=null"
                )
        if self.strategy.foresees:
            simulated(self.oracle, self.strategy.name)
        if self.strategy.makes_images and len(sizes) > 1:
            self.judge_of_any()
        return sizes

    @property
    def set_aside(self) -> list[int]:
        """How many of the labelled images are for validation in every round; images that a strategy makes never are."""
        counted = self.purchases[:1] + [0 if self.strategy.makes_images else size for size in self.purchases[1:]]
        return [self.plan.set_aside(total) for total in accumulate(counted)]

    @property
    def checked_learner(self) -> Checked:
        """The learner as the strategy needs it, with checks of what it returns."""
        return Checked(self.strategy.wrap(self.learner), type(self.learner).__name__)

    async def run(
        self,
        record: Record,
        clock: Callable[[], float] = perf_counter,
        joules: Callable[[float], float | None] = lambda seconds: None,
        seen: Callable[[int, Fitted, Mapping[str, float]], None] = lambda round_, fitted, row: None,
    ) -> None:
        """Carry out every round in turn. Rounds that `record` holds are replayed from it and not done again.

        `clock` gives the seconds spent on this run, without other runs of the same process. `joules` turns seconds of
        this run into joules of its device (None: unknown). `seen` is called with every model and its measurements
        before they are recorded.
        """
        learner = self.checked_learner
        pool = new_pool(self.data, self.plan, self.seed)
        if self.strategy.foresees:
            oracle = simulated(self.oracle, self.strategy.name)
            pool.foresight = Trials(self.data, oracle, learner, pool, self.train_data)
        watch = Watch(self.stopping, self.data, self.seed) if self.stopping else None
        fitted: CheckedFit | None = None
        for round_, size in enumerate(self.purchases):
            if round_ >= self.rounds(record):  # a rule has ended the run
                break
            ids, selecting = recorded_purchase(record, pool, round_), 0.0
            query = recorded_query(record, pool, round_) if ids is None else None
            resumed = fitted is None and round_ > 0 and not record.measured(round_)
            if resumed and (watch or (ids is None and query is None)):  # the fit of the round before is needed again
                fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_ - 1), None)
            if ids is not None:
                labels = await self.label(pool, ids)
            else:
                if query is None:
                    query = await self.ask(record, pool, fitted, size, round_, clock)
                selecting = query.seconds
                ids, labels = await self.purchase(record, pool, fitted, query, round_)
            pool.buy(ids, labels)
            if record.measured(round_) and not learner.continues:
                continue
            start, before = clock(), fitted
            given = self.train_data(pool)
            fitted = await learner.fit(given, Streams(self.seed, round_), fitted)
            fitting = clock() - start
            if not record.measured(round_):
                row, confusion = measurements(self.data, fitted, given, pool.asked)
                row["fit_seconds"] = fitting
                if watch:
                    row |= watch.row(before, fitted, pool, row["val_error"], record)
                seen(round_, fitted, row)
                by_class = ByClass(confusion, whole=self.is_last(round_, row))
                record.measure(round_, row, joules(fitting + selecting), by_class)

    def rounds(self, record: Record) -> int:
        """How many rounds the run has: those of its budget, or fewer if the obeyed rule has said stop."""
        ended = round_of_end(self.stopping, record)
        return len(self.purchases) if ended is None else ended + 1

    def ended_by(self, record: Record) -> str | None:
        """The rule that has ended the run before its last planned round, or None."""
        if self.stopping is None or record.measured(len(self.purchases) - 1):
            return None
        if round_of_end(self.stopping, record) is None:
            return None
        return self.stopping.obey

    def is_last(self, round_: int, row: Mapping[str, float]) -> bool:
        """Whether the run ends with the round that has this row."""
        stops = self.stopping is not None and row.get(COLUMN.format(self.stopping.obey)) == 1
        return stops or round_ + 1 == len(self.purchases)

    async def again(self, record: Record) -> tuple[Fitted, Pool]:
        """Fit the model of the newest round of `record` again. Returns the model and its pool.

        Raises UsageError if no round is measured yet.
        """
        learner = self.checked_learner
        pool, fitted, round_ = new_pool(self.data, self.plan, self.seed), None, 0
        while record.measured(round_) and (ids := recorded_purchase(record, pool, round_)) is not None:
            pool.buy(ids, await self.label(pool, ids))
            if learner.continues or not record.measured(round_ + 1):
                fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_), fitted)
            round_ += 1
        if fitted is None:
            raise UsageError("no round is measured yet, so there is no model; let the run go on first")
        return fitted, pool

    async def ask(
        self, record: Record, pool: Pool, fitted: Fitted | None, size: int, round_: int, clock: Callable[[], float]
    ) -> Query:
        """Choose the next purchase. The query is recorded at once if its labels may take long."""
        start = clock()
        choice = await self.choose(fitted, pool, size, round_)
        ids, facts, made = choice.chosen.to(self.data.images.device), choice.facts, choice.made
        selecting = clock() - start
        if made is not None:
            ids = pool.add(made)
            record.made(round_, QUERY, ids, made)
        if fitted is not None:
            confidence, classes = mean_log_probs(fitted.log_probs(pool.x(ids))).exp().max(1)
            record.predicted(round_, ids, classes, confidence)
        if not isinstance(self.oracle, Simulated):  # a person may take a week, so the query is recorded
            record.ask(round_, ids, selecting, facts)
        return Query(ids, selecting, facts)

    async def choose(self, fitted: Fitted | None, pool: Pool, size: int, round_: int) -> Choice:
        """The initial set, or what the strategy selects. Raises UsageError if it can't be bought."""
        streams = Streams(self.seed, round_)
        if fitted is None:
            return await self.initial.choose(pool, size, streams)
        rng = streams("candidates")
        pool.draw_candidates(self.plan.candidate_count, rng)
        if self.plan.sets:
            oracle = simulated(self.oracle, "budget.sets")
            pool.offer(oracle.one_class_sets(pool.candidates, self.plan.sets, size, rng))
        answer = await self.strategy.query(fitted, pool, size, streams)
        kind = type(self.strategy).__name__
        left = f"{kind} left the net in training mode, where dropout is random; call net.eval() before it returns"
        require_evaluation(fitted, self.checked_learner.gives, left)
        return checked(answer, pool, size, self.strategy)

    async def purchase(
        self, record: Record, pool: Pool, fitted: CheckedFit | None, query: Query, round_: int
    ) -> tuple[Tensor, Tensor]:
        """Record the oracle's answers to a query. Returns ids and labels of the bought images, int64 [n] each.

        An image that a person could not label, UNSURE, is not bought. `fitted` is None in the first round and after a
        wait for labels; then it adds no facts. Raises UsageError if too few images of the first query got a label.
        """
        ids, seconds, facts = query
        labels = await self.label(pool, ids)
        told, least = int((labels >= 0).sum()), 1 if self.plan.val_share is None else 2
        if round_ == 0 and told < least:
            lacking = "there is nothing to train on" if told == 0 else "there is none to validate on"
            raise UsageError(
                f"{told or 'none'} of the first {len(ids)} images got a label, so {lacking}; "
                "raise budget.initial and start anew with overwrite=true"
            )
        ids, labels = ids[labels != UNSURE], labels[labels != UNSURE]
        known = labels >= 0
        if fitted is not None and bool(known.any()):
            x, y = pool.x(ids[known]), labels[known]
            facts = {**facts, **fitted.facts(x, y)}
            for name, images in fitted.shown(x[:SHOWN], y[:SHOWN]).items():
                record.made(round_, name, ids[known][:SHOWN], images)
        if bool(self.of_strategy(ids).any()):
            facts = {**facts, "undecided": float((labels == UNKNOWN).sum())}
        if self.data.open:
            facts = {**facts, "of_no_class": float((labels == OF_NO_CLASS).sum())}
        record.buy(round_, ids, labels, seconds, facts)
        return ids, labels

    async def label(self, pool: Pool, ids: Tensor) -> Tensor:
        """The oracle's labels, int64 [n]; UNKNOWN for an image that the strategy made and the oracle can't label.

        Raises UsageError as `judge_of_any` if the strategy made images.
        """
        if not bool(self.of_strategy(ids).any()):
            return await self.oracle.label(ids)
        return await self.judge_of_any().judge(pool.x(ids))

    def judge_of_any(self) -> Judge:
        """The oracle, which labels images that a strategy made. Raises UsageError if it only labels the data set's."""
        if not isinstance(self.oracle, Judge):
            raise UsageError(
                f"{self.strategy.name} makes images of its own, which are in no data set; use oracle=classifier, "
                "or another oracle that can label any image"
            )
        return self.oracle

    def of_strategy(self, ids: Tensor) -> Tensor:
        """Which ids are of images that the strategy made, bool [n]."""
        return ids >= len(self.data.images)

    def train_data(self, pool: Pool) -> TrainData:
        val = self.data.validation if pool.set_aside is None else (pool.x(pool.validation), pool.y(pool.validation))
        unlabelled = ImagesOf(pool, pool.unlabelled)
        return TrainData(pool.x(pool.training), pool.y(pool.training), *val, unlabelled, pool.old)
