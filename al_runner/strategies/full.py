"""All labels at once: the reference line of a figure."""

from dataclasses import dataclass, replace

from al_runner.budget import Budget
from al_runner.strategies.base import Strategy


@dataclass(frozen=True)
class Full(Strategy):
    """Trains once on the whole training set and makes no query."""

    def plan(self, budget: Budget) -> Budget:
        everything = replace(budget, initial="all", initial_by="random", known=None, sets=None)
        return replace(everything, max_labelled=None, max_fraction=None, max_rounds=0)
