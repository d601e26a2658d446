"""Buying: the images of a round are chosen, their labels are asked for, and both are recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS, UNKNOWN, UNSURE
from al_runner.learners.checked import CheckedFit
from al_runner.loop.initial import InitialSet
from al_runner.loop.replay import recorded_purchase, recorded_query
from al_runner.oracle.simulated import Simulated, simulated
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, checked
from al_runner.types import DataSet, Judge, Oracle, Query, Record, mean_log_probs

QUERY = "query"  # the name of images that are bought
SHOWN = 10  # images of a purchase that are recorded for people to look at


@dataclass(frozen=True)
class Buyer:
    """Buys the images of every round of one run."""

    data: DataSet
    plan: Budget
    strategy: Strategy
    oracle: Oracle
    initial: InitialSet
    seed: int

    def require(self, sizes: Sequence[int]) -> None:
        """Raises UsageError if rounds of these sizes can't be bought, whatever is chosen."""
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

    async def buy(
        self,
        record: Record,
        pool: Pool,
        fitted: CheckedFit | None,
        size: int,
        round_: int,
        clock: Callable[[], float],
    ) -> float:
        """Move the purchase of a round into the labelled set; it is made and recorded, unless it is recorded already.

        `fitted` is None in the first round, and for a purchase that does not need the fit of the round before. Returns
        the seconds that the choice took, 0 for a recorded purchase.
        """
        if await self.bought_before(record, pool, round_):
            return 0.0
        query = recorded_query(record, pool, round_)
        if query is None:
            query = await self.ask(record, pool, fitted, size, round_, clock)
        pool.buy(*await self.answered(record, pool, fitted, query, round_))
        return query.seconds

    async def bought_before(self, record: Record, pool: Pool, round_: int) -> bool:
        """Move the recorded purchase of a round into the labelled set; false if there is none."""
        ids = recorded_purchase(record, pool, round_)
        if ids is not None:
            pool.buy(ids, await self.label(pool, ids))
        return ids is not None

    async def ask(
        self, record: Record, pool: Pool, fitted: CheckedFit | None, size: int, round_: int, clock: Callable[[], float]
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

    async def choose(self, fitted: CheckedFit | None, pool: Pool, size: int, round_: int) -> Choice:
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
        fitted.require_evaluation(left)
        return checked(answer, pool, size, self.strategy)

    async def answered(
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
