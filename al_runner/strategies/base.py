"""The base classes of all strategies."""

from collections.abc import Sequence
from copy import copy
from functools import cached_property, reduce
from operator import or_
from typing import Self

import torch
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.models.dense import last_dense
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.choice import Choice
from al_runner.types import Fitted, Learner


class Strategy:
    """Chooses what to label next. A new strategy overrides `select` and declares what it needs.

    It overrides `plan`, `wrap`, `check` or `query` only if it changes those steps, too. The declarations `needs`,
    `draws`, `chooses_sets`, `makes_images` and `foresees` may be class attributes, or properties if they depend on
    options.
    """

    @property
    def needs(self) -> Needs:
        """What the strategy asks of the fitted model besides its predictions."""
        return Needs()

    @property
    def draws(self) -> bool:
        """Whether the choice depends on the query's random stream, so that another seed may give another choice."""
        return False

    @property
    def without_fit(self) -> bool:
        """Whether it chooses without a look at the fit, so that it can choose the initial set (budget.initial_by)."""
        return False

    @property
    def chooses_sets(self) -> bool:
        """Whether the strategy can choose among `pool.sets` (budget.sets), not only among single images."""
        return False

    @property
    def makes_images(self) -> bool:
        """Whether a query consists of images that the strategy makes, so that it chooses none of the pool's."""
        return False

    @property
    def queries(self) -> bool:
        """Whether it makes queries. `full` makes none: its plan buys all images as the initial set."""
        return any(getattr(type(self), name) is not getattr(Strategy, name) for name in ("select", "query"))

    @property
    def foresees(self) -> bool:
        """Whether it chooses by `pool.foresight`, which nobody has. It is then an upper line and no strategy."""
        return False

    @cached_property
    def name(self) -> str:
        """The strategy's name in error messages."""
        return type(self).__name__

    def called(self, name: str) -> Self:
        """The same strategy, with the name by which the user chose it, such as `strategy=badge`."""
        same = copy(self)
        vars(same)["name"] = name
        return same

    def plan(self, budget: Budget) -> Budget:
        """The budget as this strategy changes it, for example with fewer candidates."""
        return budget

    def wrap(self, learner: Learner) -> Learner:
        """The learner as this strategy changes it, for example one that also trains on pseudo-labels."""
        return learner

    def check(self, net: nn.Module, x: Tensor) -> None:
        """Raises UsageError if the strategy can't work with nets like `net` on images like `x`, [2, C, H, W].

        It is called before any training. `net` is in evaluation mode and is used for this check only.
        """
        if self.needs.features and last_dense(net) is None:
            raise UsageError(
                f"{self.name} needs a net with a dense layer, whose inputs are its features; use another model="
            )

    def check_learner(self, learner: Learner) -> None:
        """Raises UsageError if `learner`, after `wrap`, does not give what the strategy needs.

        It is called before any training. Do not override it; change `needs` instead.
        """
        self.needs.require(learner.gives, self.name)

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor | Choice:
        """The query: `n` distinct ids from `pool.candidates`, int64 [n], alone or in a `Choice` with facts.

        The loop calls this method. A strategy that trains a net in order to choose overrides it and awaits
        `trained`, as a learner does.
        """
        return self.select(fitted, pool, n, streams("query"))

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        """`n` distinct ids from `pool.candidates`, int64 [n], chosen with the fitted model alone."""
        raise NotImplementedError


class ByScore(Strategy):
    """Gives every image an acquisition score and chooses the highest scores. A new one overrides only `scores`.

    The score of a set is the mean score of its images. `Stochastic` uses the same scores to draw at random.
    """

    @property
    def queries(self) -> bool:
        return any(getattr(type(self), name) is not getattr(ByScore, name) for name in ("scores", "select", "query"))

    @property
    def at_least_0(self) -> bool:
        """Whether every score is 0 or more."""
        return False

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        """The acquisition scores of the images `ids`, [N] -> [N]; none is NaN."""
        raise NotImplementedError

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        return pool.best(pool.over_sets(self.scored(fitted, pool, pool.candidates, rng)), n)

    def scored(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        """The scores of the images `ids`, floats [N]; `scores` may give a list or an array, or whole numbers.

        Raises UsageError if they have another form, and ArithmeticError if one is NaN: it would count as the highest.
        """
        given = self.scores(fitted, pool, ids, rng)
        own = f"{type(self).__name__}.scores"
        wanted = f"{own} returned {{}}; it returns one number for each of the {len(ids)} images, [N]"
        try:
            scores = torch.as_tensor(given, device=ids.device).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(wanted.format(type(given).__name__)) from error
        if scores.shape != ids.shape or scores.is_complex():
            raise UsageError(wanted.format(f"{scores.dtype} of shape {list(scores.shape)}"))
        scores = scores if scores.is_floating_point() else scores.double()
        if bool(scores.isnan().any()):
            raise ArithmeticError(
                f"{self.name} gave a score that is NaN, so the images have no order; look for a division by 0 or a "
                f"logarithm of 0 in {own}"
            )
        return scores


class Through(Strategy):
    """Chooses with the help of another strategy, `inner`, and needs and changes what `inner` needs and changes."""

    @property
    def inner(self) -> Strategy:
        raise NotImplementedError

    @property
    def needs(self) -> Needs:
        return self.inner.needs

    @property
    def draws(self) -> bool:
        return self.inner.draws

    @property
    def foresees(self) -> bool:
        return self.inner.foresees

    def plan(self, budget: Budget) -> Budget:
        return self.inner.plan(budget)

    def wrap(self, learner: Learner) -> Learner:
        return self.inner.wrap(learner)

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        self.inner.check(net, x)


class Several(Strategy):
    """Chooses with the help of other strategies, `inner`, and needs and changes what each of them does."""

    @property
    def inner(self) -> Sequence[Strategy]:
        raise NotImplementedError

    @property
    def different(self) -> list[Strategy]:
        """The inner strategies without repetitions, which change training once only."""
        return [one for place, one in enumerate(self.inner) if one not in self.inner[:place]]

    @property
    def needs(self) -> Needs:
        return reduce(or_, (one.needs for one in self.inner))

    @property
    def draws(self) -> bool:
        return any(one.draws for one in self.inner)

    @property
    def foresees(self) -> bool:
        return any(one.foresees for one in self.inner)

    def plan(self, budget: Budget) -> Budget:
        return reduce(lambda plan, one: one.plan(plan), self.different, budget)

    def wrap(self, learner: Learner) -> Learner:
        return reduce(lambda wrapped, one: one.wrap(wrapped), self.different, learner)

    def check(self, net: nn.Module, x: Tensor) -> None:
        for one in self.different:
            one.check(net, x)
