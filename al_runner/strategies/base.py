"""What every strategy is."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.types import Fitted, Learner


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

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor:
        """What the loop asks for: `n` distinct ids out of `pool.candidates`, int64 [n].

        A method that trains a net to choose overrides this one and awaits `trained`, as a learner does.
        """
        return self.select(fitted, pool, n, streams("query"))

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        """The same for a method that chooses by the fitted model alone."""
        raise NotImplementedError
