"""DFAL: choose the images closest to a decision boundary (Ducoffe & Precioso, 2018)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, NotNegative
from al_runner.strategies.base import ByScore
from al_runner.strategies.deepfool import DeepFool
from al_runner.types import Fitted, Learner, TrainData
from al_runner.wrapped import Wrapped, WrappedFit


@options("strategy")
@dataclass(frozen=True)
class Dfal(ByScore):
    """The candidates that DeepFool changes least; those that it can't change come last, in their own order.

    With `twins`, training also uses the twin of every image that a query bought and DeepFool can change. The twin is
    the image as DeepFool changed it against the net that chose it, with the same label.
    """

    steps: Annotated[Count, Means("the most steps of DeepFool")] = 10
    overshoot: Annotated[
        NotNegative, Means("share by which DeepFool's change is made longer, so that it crosses the boundary")
    ] = 0.02
    twins: Annotated[bool, Means("also train on every bought image's adversarial twin, with the same label")] = False
    needs: ClassVar[Needs] = Needs(network=True)

    @property
    def search(self) -> DeepFool:
        return DeepFool(self.steps, self.overshoot)

    def wrap(self, learner: Learner) -> Learner:
        return WithTwins(learner, self.search) if self.twins else learner

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        return -self.search.distances(fitted.network(), pool.x(ids))


@dataclass(frozen=True)
class Twinned(WrappedFit):
    """A learner's fit, and the adversarial twins that it was trained on."""

    x: Tensor  # the twins, [N, C, H, W], and their labels, [N]
    y: Tensor


@dataclass(frozen=True)
class WithTwins(Wrapped):
    """Also trains on the twins of all images that queries bought; the newest are made with the previous round's net."""

    search: DeepFool

    @property
    def continues(self) -> bool:
        return True

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Twinned:
        x, y = data.x[:0], data.y[:0]
        if isinstance(previous, Twinned):
            bought, labels = data.newest
            twins, fooled = self.search.twins(previous.network(), bought)
            x, y = torch.cat([previous.x, twins[fooled]]), torch.cat([previous.y, labels[fooled]])
            previous = previous.fitted
        fitted = await self.base.fit(data.plus(x, y), streams, previous)
        return Twinned(fitted, x, y)
