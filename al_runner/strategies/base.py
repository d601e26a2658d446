"""What every strategy is."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.types import Fitted, Learner


class Choice(NamedTuple):
    """What a query chose: ids, int64 [n], and what is worth recording of it, numbers by name (queries.csv)."""

    ids: Tensor
    facts: Mapping[str, float] = MappingProxyType({})


class Strategy:
    """Chooses what to label next. A new one overrides `select`, and more where it changes more.

    `chooses_sets` tells whether it chooses among `pool.sets` (budget.sets), not only among single images,
    `needs_network` whether by `fitted.network()`, one net's own weights, `needs_features` whether by `fitted.features`.
    """

    chooses_sets: ClassVar[bool] = False
    needs_network: ClassVar[bool] = False
    needs_features: ClassVar[bool] = False

    def plan(self, budget: Budget) -> Budget:
        """What the method changes about the purchases."""
        return budget

    def wrap(self, learner: Learner) -> Learner:
        """What the method changes about training."""
        return learner

    def check(self, net: nn.Module, x: Tensor) -> None:
        """UsageError where the method can't treat nets such as `net`, on images such as `x`, uint8 [2, C, H, W].

        Asked before any training, with a net of its own in evaluation mode.
        """
        if self.needs_features and not any(isinstance(layer, nn.Linear) for layer in net.modules()):
            raise UsageError(
                f"{type(self).__name__} chooses by the inputs of a net's last dense layer; take a model= that has one"
            )

    def check_learner(self, learner: Learner) -> None:
        """UsageError where the method can't choose by what `learner` fits, after `wrap`; asked before any training."""
        name = type(self).__name__
        if self.needs_network and learner.nets != 1:
            raise UsageError(f"{name} chooses by one net's weights, which this learner has not; use learner=plain")
        if self.needs_features and not learner.nets:
            raise UsageError(f"{name} chooses by a net's features, and this learner has no net; use learner=plain")

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor | Choice:
        """What the loop asks for: `n` distinct ids out of `pool.candidates`, int64 [n], with facts or without.

        A method that trains a net to choose overrides this one and awaits `trained`, as a learner does.
        """
        return self.select(fitted, pool, n, streams("query"))

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        """The same for a method that chooses by the fitted model alone."""
        raise NotImplementedError


def checked(answer: object, pool: Pool, n: int, name: str) -> Choice:
    """The answer of a strategy of this `name` to a query; lists and arrays of whole numbers are taken.

    UsageError unless it is `n` distinct candidates, with numbers for facts.
    """
    found, facts = answer if isinstance(answer, Choice) else (answer, {})
    wanted = f"{name} returned {{}}; a query returns {n} distinct ids of pool.candidates, as int64 [{n}]"
    try:
        ids = torch.as_tensor(found, device=pool.candidates.device)
        numbers = {str(key): float(value) for key, value in facts.items()}
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        told = " ".join(f"{type(found).__name__} with the facts {facts} ({error})".split())
        raise UsageError(wanted.format(told)) from error
    if ids.ndim != 1:
        raise UsageError(wanted.format(f"ids of shape {list(ids.shape)}"))
    if len(ids) != n:
        raise UsageError(wanted.format(f"{len(ids)} ids for {n}"))
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise UsageError(wanted.format(f"ids of type {ids.dtype}"))
    ids = ids.to(torch.int64)
    foreign = ids[~torch.isin(ids, pool.candidates)]
    if len(foreign):
        raise UsageError(wanted.format(f"id {int(foreign[0])}, which is not one of its candidates"))
    if len(ids.unique()) != n:
        raise UsageError(wanted.format("the same id twice"))
    return Choice(ids, numbers)
