"""Chooses the weight decay on the validation images (Gal et al., 2017, section 5.1)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import nn
from torch.nn.functional import nll_loss

from al_runner.errors import UsageError
from al_runner.gather import gather
from al_runner.learners.plain import RECIPE
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Means, NotNegative
from al_runner.training import Recipe
from al_runner.types import Fitted, Learner, TrainData, mean_log_probs


@options("learner")
@dataclass(frozen=True)
class Tuned:
    """Fits another learner with every weight decay in a list, in every round, and keeps the best fit.

    The best fit has the lowest mean negative log-likelihood (nats) of its mean prediction on the validation images;
    ties go to the first. The error rate would not do: with a hundred images it has too few values. All fits start from
    the same streams. The recorded steps are those of the best fit. Raises UsageError if the optimiser has no weight
    decay, or if the other learner continues from its last fit.
    """

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    of: Annotated[Callable[..., Learner], Means("the learner that is tuned")]  # from build= and recipe=
    weight_decays: Annotated[AtLeastOne[NotNegative], Means("the weight decays that every round tries")] = (
        1e-4,
        1e-3,
        1e-2,
    )
    continues: ClassVar[bool] = False

    def __post_init__(self) -> None:
        try:
            decayed(self.recipe, 0.0).optimizer([nn.Parameter(torch.zeros(1))])
        except TypeError as error:
            raise UsageError(f"training.optimizer has no weight decay ({error}); use training=adam") from error
        if self.learners[0].continues:
            raise UsageError(
                "learner.of continues from its last fit, which may not be the best one; choose a learner that does not"
            )

    @cached_property
    def learners(self) -> list[Learner]:
        """The tuned learner, once for every weight decay."""
        return [self.of(build=self.build, recipe=decayed(self.recipe, decay)) for decay in self.weight_decays]

    @property
    def gives(self) -> Gives:
        return self.learners[0].gives

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Fitted:
        fits = await gather([learner.fit(data, streams, None) for learner in self.learners])
        return min(fits, key=lambda fitted: validation_loss(fitted, data))


def decayed(recipe: Recipe, weight_decay: float) -> Recipe:
    """The recipe with this weight decay; for torch's Adam that adds `weight_decay` times half the squared L2 norm."""
    optimizer: Callable[..., torch.optim.Optimizer] = recipe.optimizer
    return replace(recipe, optimizer=partial(optimizer, weight_decay=weight_decay))


def validation_loss(fitted: Fitted, data: TrainData) -> float:
    """Mean negative log-likelihood of the mean prediction on the validation images, in nats."""
    return float(nll_loss(mean_log_probs(fitted.log_probs(data.val_x)).double(), data.val_y))
