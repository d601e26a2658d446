"""What every strategy is."""

import torch
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.choice import Choice
from al_runner.types import Fitted, Learner


class Strategy:
    """Chooses what to label next. A new one overrides `select`, declares what it needs, and more where it changes more.

    The three declarations may be class attributes, or properties where they depend on options.
    """

    @property
    def needs(self) -> Needs:
        """What it asks of the fitted model beside its predictions."""
        return Needs()

    @property
    def draws(self) -> bool:
        """Whether the choice depends on the query's random stream, so that another seed may choose otherwise."""
        return False

    @property
    def without_fit(self) -> bool:
        """Whether it chooses without a look at the fit, so that it can choose the initial set (budget.initial_by)."""
        return False

    @property
    def chooses_sets(self) -> bool:
        """Whether it chooses among `pool.sets` (budget.sets), not only among single images."""
        return False

    @property
    def name(self) -> str:
        """What error messages call it."""
        return type(self).__name__

    def plan(self, budget: Budget) -> Budget:
        """What the method changes about the purchases."""
        return budget

    def wrap(self, learner: Learner) -> Learner:
        """What the method changes about training."""
        return learner

    def check(self, net: nn.Module, x: Tensor) -> None:
        """UsageError where the method can't treat nets such as `net`, on images such as `x`, [2, C, H, W].

        Asked before any training, with a net of its own in evaluation mode.
        """
        if self.needs.features and not any(isinstance(layer, nn.Linear) for layer in net.modules()):
            raise UsageError(
                f"{self.name} needs a net with a dense layer, whose inputs are its features; use another model="
            )

    def check_learner(self, learner: Learner) -> None:
        """UsageError where `learner`, after `wrap`, does not give what the method needs; asked before any training.

        Not to be overridden: `needs` says it all.
        """
        self.needs.require(learner.gives, self.name)

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor | Choice:
        """What the loop asks for: `n` distinct ids out of `pool.candidates`, int64 [n], with facts or without.

        A method that trains a net to choose overrides this one and awaits `trained`, as a learner does.
        """
        return self.select(fitted, pool, n, streams("query"))

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        """The same for a method that chooses by the fitted model alone."""
        raise NotImplementedError


class ByScore(Strategy):
    """Gives every image a score and buys those of highest score. A new one overrides `scores` alone.

    A set's score is the mean of its images' scores. `Stochastic` draws by the same scores instead.
    """

    @property
    def at_least_0(self) -> bool:
        """Whether no score is below 0."""
        return False

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        """Of the images `ids`, [N] -> [N]; none is NaN."""
        raise NotImplementedError

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return pool.best(pool.over_sets(self.scores(fitted, pool, pool.candidates, rng)), n)


class Through(Strategy):
    """Chooses by means of another strategy, `inner`: what that one needs and changes holds for both."""

    @property
    def inner(self) -> Strategy:
        raise NotImplementedError

    @property
    def needs(self) -> Needs:
        return self.inner.needs

    @property
    def draws(self) -> bool:
        return self.inner.draws

    def plan(self, budget: Budget) -> Budget:
        return self.inner.plan(budget)

    def wrap(self, learner: Learner) -> Learner:
        return self.inner.wrap(learner)

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        self.inner.check(net, x)
