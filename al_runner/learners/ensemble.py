"""Several nets that differ only in their random choices (Lakshminarayanan et al., 2017; Beluch et al., 2018)."""

from dataclasses import dataclass, replace
from typing import Annotated

from al_runner.learners.committee import Committee, Members
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means
from al_runner.training import Fit, trained
from al_runner.types import Fitted, TrainData


@options("learner")
@dataclass(frozen=True)
class Ensemble(Members):
    """`members` nets on the same data; each has its own initial weights, minibatch order and dropout masks.

    With `shared_init` all nets have the same initial weights, and with `shared_order` the same minibatches in the same
    order: ablations of Beluch et al. (2018).
    """

    members: Annotated[Few, Means("nets")] = 5
    shared_init: Annotated[bool, Means("the same initial weights for all nets")] = False
    shared_order: Annotated[bool, Means("the same minibatches in the same order for all nets")] = False

    @property
    def gives(self) -> Gives:
        return replace(super().gives, extendable=not self.shared_init)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Committee:
        start = self.recipe.first_net(self.build, streams).state_dict() if self.shared_init else None
        streams = streams._replace(shared="order") if self.shared_order else streams
        fits = [Fit(self.build, self.recipe, data, streams.of(i), start=start) for i in range(self.members)]
        return Committee.of(await trained(fits))
