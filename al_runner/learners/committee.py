"""Several nets as the samples of one posterior."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.plain import RECIPE, SingleNet
from al_runner.needs import Gives
from al_runner.settings.kinds import Few, Means
from al_runner.training import Recipe, Trained
from al_runner.types import Fitted
from al_runner.wrapped import part_of


@dataclass(frozen=True)
class Members:
    """A learner of `members` nets; the subclass's `fit` decides how the nets differ."""

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    members: Annotated[Few, Means("nets")]
    continues: ClassVar[bool] = False

    @property
    def gives(self) -> Gives:
        return Gives(samples=self.members, network=self.members == 1)


def networks(fitted: Fitted) -> list[nn.Module]:
    """All nets behind a fit. Raises UsageError if it has none."""
    committee = part_of(fitted, Committee)
    return [fitted.network()] if committee is None else [*committee.nets]


@dataclass(frozen=True)
class Committee:
    """Trained nets in evaluation mode; each is a posterior sample of equal weight."""

    nets: Sequence[nn.Module]
    steps: int

    @classmethod
    def of(cls, results: Sequence[Trained]) -> "Committee":
        """A committee of the nets that the engine returned; its steps are the sum of theirs."""
        return cls([result.net.eval() for result in results], sum(result.steps for result in results))

    def log_probs(self, x: Tensor) -> Tensor:
        """Log probabilities in nats, uint8 [N, C, H, W] -> [N, K, Y]; each net gives one sample."""
        return torch.cat([SingleNet(net, 0).log_probs(x) for net in self.nets], 1)

    def features(self, x: Tensor) -> Tensor:
        """The features of all nets side by side, [N, K D]."""
        return torch.cat([SingleNet(net, 0).features(x) for net in self.nets], 1)

    def network(self) -> nn.Module:
        if len(self.nets) == 1:
            return self.nets[0]
        raise UsageError("this strategy needs one net's gradients, and a committee has several; use learner=plain")
