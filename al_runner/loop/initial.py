"""The initial set: what is bought before any net is trained."""

from dataclasses import dataclass

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.oracle.simulated import simulated
from al_runner.pool import Pool, random_ids, shuffled
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, checked
from al_runner.types import DataSet, Oracle, Unfitted

DRAWN = ("random", "balanced")  # values of budget.initial_by that are no strategy


@dataclass(frozen=True)
class InitialSet:
    """Images that have labels beforehand, or else what budget.initial_by chooses from the whole pool."""

    data: DataSet
    plan: Budget
    oracle: Oracle
    strategy: Strategy | None  # chooses it if budget.initial_by names a strategy

    @property
    def given(self) -> bool:
        """Whether the set is the images that have labels beforehand."""
        return len(self.data.given) > 0 and self.plan.initial != "all"

    @property
    def known(self) -> int:
        """The number of classes from which a balanced set is drawn."""
        return self.plan.known or len(self.data.classes)

    def require(self, size: int) -> None:
        """Raises UsageError if a set of `size` images can't be bought."""
        if self.plan.balanced:
            simulated(self.oracle, "budget.initial_by=balanced").require_every_class(size, self.known)
        if self.plan.initial_by not in DRAWN and self.strategy is None:
            raise UsageError(f"budget.initial_by is {self.plan.initial_by}, and no such strategy was given")

    async def choose(self, pool: Pool, size: int, streams: Streams) -> Choice:
        """The set, `size` ids of the pool. Raises UsageError if the strategy's choice can't be bought.

        Given and balanced sets come in random order: sorted by class, a part of them would lack the other classes.
        """
        if self.given:
            return Choice(shuffled(self.data.given, streams("initial order")))
        rng = streams("initial")
        if self.plan.balanced:
            oracle = simulated(self.oracle, "budget.initial_by=balanced")
            balanced = oracle.balanced_ids(size, self.known, rng, streams("initial classes"))
            return Choice(shuffled(balanced, streams("initial order")))
        if self.strategy is None or self.plan.initial_by == "random":
            return Choice(random_ids(pool, size, rng))
        pool.draw_candidates(len(pool.unlabelled), streams("candidates"))
        chosen = await self.strategy.query(Unfitted(), pool, size, streams)
        return checked(chosen, pool, size, self.strategy)
