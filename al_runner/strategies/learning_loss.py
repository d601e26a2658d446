"""Learning loss: a module beside the net predicts losses, and the highest are chosen (Yoo & Kweon, 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Means, Positive, ShareOrAll
from al_runner.strategies.base import ByScore
from al_runner.strategies.loss_prediction import Build, WithLossPrediction, feature_maps, with_ranking
from al_runner.strategies.ranges import finite
from al_runner.strategies.rewriting import rewriting
from al_runner.system.chunks import chunks
from al_runner.training import Fit, least_minibatch
from al_runner.types import Fitted, Learner, TrainData
from al_runner.wrapped import Wrapped

NEVER = 2**62  # more forward passes than any training has


@options("strategy")
@dataclass(frozen=True)
class LearningLoss(ByScore):
    """The candidates with the highest predicted loss."""

    layers: Annotated[
        Sequence[str] | None,
        Means("layers whose feature maps the module reads, such as [net.2,net.5]; null: the last map of every size"),
    ] = None
    hidden: Annotated[Count, Means("units that each map is reduced to")] = 128
    margin: Annotated[Positive, Means("the ranking loss wants two predicted losses to differ by at least this")] = 1.0
    weight: Annotated[Positive, Means("weight of the ranking loss beside the net's own")] = 1.0
    cut_after: Annotated[
        CountOrZero | None,
        Means("passes over the labelled images after which the module no longer trains the net; null: never"),
    ] = 120
    cut_share: Annotated[
        ShareOrAll, Means("the latest end of this, as a share of the most passes that training can have")
    ] = 0.6
    needs: ClassVar[Needs] = Needs(network=True, extendable=True)

    def check(self, net: nn.Module, x: Tensor) -> None:
        feature_maps(net, x, self.layers)

    def wrap(self, learner: Learner) -> Learner:
        return PredictingLosses(learner, self)

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        return finite(predicted_losses(fitted.network(), pool.x(ids)), "a predicted loss")


@torch.inference_mode()
def predicted_losses(net: nn.Module, x: Tensor) -> Tensor:
    """Predicted losses, uint8 [N, C, H, W] -> [N]; raises UsageError if the net has no loss-prediction module."""
    if not isinstance(net, WithLossPrediction):
        raise UsageError("learning_loss chooses by a net that its own wrap(learner) has trained; use al_runner.run")
    return torch.cat([net.losses(part) for part in chunks(x)])


@dataclass(frozen=True)
class PredictingLosses(Wrapped):
    """Trains every net of another learner together with a loss-prediction module, which then belongs to the net."""

    options: LearningLoss

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        return await rewriting(self.base.fit(data, streams, previous), self.with_module)

    def with_module(self, fit: Fit) -> Fit:
        """The same fit for the net together with a loss-prediction module."""
        options = self.options
        layers = None if options.layers is None else tuple(options.layers)
        build = Build(fit.build, fit.data.x[:1].cpu(), layers, options.hidden, self.cut(fit))
        loss = partial(with_ranking, fit.criterion, margin=options.margin, weight=options.weight)
        return fit._replace(build=build, loss=loss)

    def cut(self, fit: Fit) -> int:
        """The number of steps after which the module's gradient stops at the maps."""
        if self.options.cut_after is None:
            return NEVER
        with torch.random.fork_rng(devices=[]):
            least = least_minibatch(fit.build())
        count, recipe = len(fit.data.y), fit.recipe
        passes = self.options.cut_after * len(recipe.minibatch_sizes(count, least))
        return min(passes, round(self.options.cut_share * recipe.max_checks * recipe.steps_per_check(count, least)))
