"""Self-training: a net is trained again, with its own confident predictions as labels (Lee, 2013).

K posterior samples, Y classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Annotated, ClassVar

from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.plain import RECIPE
from al_runner.needs import Gives
from al_runner.pseudo_labels import pseudo_labels
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, ProperShare
from al_runner.training import Recipe
from al_runner.types import Fitted, Learner, TrainData, mean_log_probs


@options("learner")
@dataclass(frozen=True)
class PseudoLabels:
    """Fits another learner on the labelled images, and then anew on these and on its confident predictions.

    Every unlabelled image whose most likely class has a mean probability of `threshold` or more gets that class as its
    pseudo-label. The second fit begins from new weights; so does each of the `times` fits, whose pseudo-labels come
    from the fit before it. The first fit is what the other learner alone would fit. If no prediction is sure enough, it
    is the result. The recorded steps are those of the last fit.

    Lee (2013) does both in one training, in which the weight of the pseudo-labels grows. Raises UsageError if the other
    learner continues from its last fit.
    """

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    of: Annotated[Callable[..., Learner], Means("the learner that is fitted")]  # from build= and recipe=
    threshold: Annotated[
        ProperShare, Means("mean probability from which on a prediction is taken for a label, between 0 and 1")
    ] = 0.95
    times: Annotated[Count, Means("fits with pseudo-labels, each with those of the fit before")] = 1
    continues: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.learner.continues:
            raise UsageError(
                "learner.of continues from its last fit, which had pseudo-labels; choose a learner that does not"
            )

    @cached_property
    def learner(self) -> Learner:
        """The learner that is fitted."""
        return self.of(build=self.build, recipe=self.recipe)

    @property
    def gives(self) -> Gives:
        return self.learner.gives

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Fitted:
        fitted = await self.learner.fit(data, streams, None)
        for time in range(self.times):
            if data.unlabelled is None:
                break
            x, y = pseudo_labels(fitted, data.unlabelled, self.is_sure)
            if not len(y):
                break
            fitted = await self.learner.fit(data.plus(x, y), streams.of(f"pseudo-labels {time}"), None)
        return fitted

    def is_sure(self, log_probs: Tensor) -> Tensor:
        """Whether a prediction is taken for a label, [n, K, Y] -> bool [n]."""
        return mean_log_probs(log_probs).amax(1) >= log(self.threshold)
