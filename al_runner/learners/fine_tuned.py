"""One net that goes on from the weights of the round before (Kaeding et al., 2016, section 3).

N examples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.learners.plain import RECIPE, SingleNet
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, ProperShare
from al_runner.types import Fit, Fitted, Recipe, TrainData, trained


@options("learner")
@dataclass(frozen=True)
class FineTuned:
    """Trained by `first` from fresh weights in the first round, by `recipe` from the last weights in all others.

    With `novel`, this share of the examples that minibatches are drawn from is the newest purchase, the rest what was
    there before or was not bought; without, all are trained on alike. The optimiser starts anew in every round.
    """

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    first: Annotated[InstanceOf[Recipe], Means("the same for the first round, which starts from fresh weights")]
    novel: Annotated[
        ProperShare | None, Means("share of the newest purchase among the examples of a minibatch; null: all alike")
    ] = None
    continues: ClassVar[bool] = True
    gives: ClassVar[Gives] = Gives()

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
        if previous is None:
            fit = Fit(self.build, self.first, data, streams)
        else:
            start = previous.network().state_dict()
            fit = Fit(self.build, self.recipe, data, streams, start=start, chances=self.chances(data))
        (result,) = await trained([fit])
        return SingleNet(result.net.eval(), result.steps)

    def chances(self, data: TrainData) -> Tensor | None:
        """Of every example to be drawn, [N]; None where there is nothing to mix."""
        known = data.old + data.added
        new = len(data.y) - known
        if self.novel is None or 0 in (known, new):
            return None
        chances = torch.full((len(data.y),), (1 - self.novel) / known)
        chances[data.old : data.old + new] = self.novel / new
        return chances
