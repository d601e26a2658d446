"""One net that continues from the weights of the round before, all or shrunk (Kaeding et al., 2016; Ash & Adams, 2020).

N examples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.plain import RECIPE, SingleNet
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Fraction, Means, NotNegative, ProperShare
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, TrainData


@dataclass(frozen=True)
class NetInTraining(SingleNet):
    """A trained net, and the state from which its optimiser can go on; None if that is not wanted."""

    optimizer_state: Mapping[int, Any] | None = None


@options("learner")
@dataclass(frozen=True)
class FineTuned:
    """One net: `first` trains it from new weights in the first round, `recipe` from the last weights in later rounds.

    With `novel`, minibatches are drawn at random, and this share of their examples comes from the newest purchase on
    average (Kaeding et al., 2016, section 3). The rest comes from earlier purchases and from examples that were not
    bought. Without `novel`, all examples are used alike. The optimiser starts again in every round, unless
    `keep_optimizer`.

    Every later round begins from `shrink` times the last weights plus `perturb` times new ones (Ash & Adams, 2020). The
    paper's noise is normal with one standard deviation. Here, as in its authors' code, the noise is the weights of a
    new net, so every layer gets noise of its own initial size. BatchNorm's statistics belong to the weights that they
    were measured with, so they start as those of a new net, too. A net that begins with trained weights has no other
    new ones, so `perturb` draws it back to them. With 1 and 0 nothing changes.
    """

    build: Callable[[], nn.Module]
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    first: Annotated[InstanceOf[Recipe], Means("how the net is trained in the first round, from new weights")]
    novel: Annotated[
        ProperShare | None, Means("share of a minibatch that is from the newest purchase; null: all examples alike")
    ] = None
    keep_optimizer: Annotated[
        bool, Means("go on from the optimiser's last state too; such nets train one by one, never in a stack")
    ] = False
    shrink: Annotated[Fraction, Means("the last weights are multiplied by this before they are trained on")] = 1.0
    perturb: Annotated[NotNegative, Means("share of new initial weights that is added to the last ones")] = 0.0
    continues: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.novel is not None and self.recipe.minibatches == "balanced":
            raise UsageError(
                "learner.novel draws minibatches by when an image was bought, training.minibatches=balanced by its "
                "class; set learner.novel=null, or leave training.minibatches out"
            )

    @property
    def gives(self) -> Gives:
        return Gives(extendable=not self.changes)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> SingleNet:
        if previous is None:
            fit = Fit(self.build, self.first, data, streams)
        else:
            start = self.start(previous.network().state_dict(), streams)
            fit = Fit(self.build, self.recipe, data, streams, start=start, chances=self.chances(data))
        if self.keep_optimizer:
            begun = isinstance(previous, NetInTraining) and previous.optimizer_state
            fit = fit._replace(optimizer_state=begun or {})
        (result,) = await trained([fit])
        return NetInTraining(result.net.eval(), result.steps, result.optimizer_state)

    @property
    def changes(self) -> bool:
        """Whether a later round begins from other weights than the last ones."""
        return self.shrink != 1 or self.perturb != 0

    def start(self, last: Mapping[str, Tensor], streams: Streams) -> Mapping[str, Tensor]:
        """The state_dict from which a later round begins, from the last one."""
        if not self.changes:
            return last
        net = self.recipe.new_net(self.build, streams("perturb"))
        return net.state_dict() | {
            name: self.shrink * last[name] + self.perturb * weight.detach().to(last[name])
            for name, weight in net.named_parameters(remove_duplicate=False)
        }

    def chances(self, data: TrainData) -> Tensor | None:
        """The probability of each example to be drawn, up to a factor, [N]; None if all examples are drawn alike."""
        new = len(data.newest[1])
        known = len(data.y) - new
        if self.novel is None or 0 in (known, new):
            return None
        chances = torch.full((len(data.y),), (1 - self.novel) / known)
        chances[data.old : data.old + new] = self.novel / new
        return chances
