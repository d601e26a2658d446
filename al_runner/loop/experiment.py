"""The experiment: choose, label, train from scratch, measure, record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from time import perf_counter

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.checked import Checked, CheckedFit
from al_runner.loop.buyer import Buyer
from al_runner.loop.initial import InitialSet
from al_runner.loop.measure import measurements
from al_runner.loop.replay import chosen
from al_runner.loop.set_aside import new_pool
from al_runner.loop.stopping import COLUMN, Stopping, Watch, round_of_end
from al_runner.loop.trials import Trials
from al_runner.oracle.simulated import simulated
from al_runner.pool import ImagesOf, Pool
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.types import ByClass, DataSet, Fitted, Learner, Oracle, Record, TrainData


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
    def buyer(self) -> Buyer:
        initial = InitialSet(self.data, self.plan, self.oracle, self.first)
        return Buyer(self.data, self.plan, self.strategy, self.oracle, initial, self.seed)

    @cached_property
    def purchases(self) -> list[int]:
        """Labels bought in every round. Raises UsageError if the budget does not fit the data set."""
        pool, plan, given = len(self.data.train), self.plan, len(self.data.given)
        if self.buyer.initial.given:
            plan = replace(plan, initial=given)
            if given > plan.end(pool):
                raise UsageError(
                    f"{given} of {pool} images have labels already, and the run may have at most {plan.end(pool)}; "
                    "raise budget.max_labelled and budget.max_fraction, as in budget.max_fraction=1"
                )
        sizes = plan.purchases(pool)
        self.buyer.require(sizes)
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
            done = record.measured(round_)
            resumed = fitted is None and round_ > 0 and not done
            if resumed and (watch or not chosen(record, round_)):  # the fit of the round before is needed again
                fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_ - 1), None)
            selecting = await self.buyer.buy(record, pool, fitted, size, round_, clock)
            if done and not learner.continues:
                continue
            start, before = clock(), fitted
            given = self.train_data(pool)
            fitted = await learner.fit(given, Streams(self.seed, round_), fitted)
            fitting = clock() - start
            if not done:
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
        while record.measured(round_) and await self.buyer.bought_before(record, pool, round_):
            if learner.continues or not record.measured(round_ + 1):
                fitted = await learner.fit(self.train_data(pool), Streams(self.seed, round_), fitted)
            round_ += 1
        if fitted is None:
            raise UsageError("no round is measured yet, so there is no model; let the run go on first")
        return fitted, pool

    def train_data(self, pool: Pool) -> TrainData:
        val = self.data.validation if pool.set_aside is None else (pool.x(pool.validation), pool.y(pool.validation))
        unlabelled = ImagesOf(pool, pool.unlabelled)
        return TrainData(pool.x(pool.training), pool.y(pool.training), *val, unlabelled, pool.old)
