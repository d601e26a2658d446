"""Learning loss: the images whose loss a module beside the net predicts to be highest (Yoo & Kweon, 2019)."""

from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import ClassVar

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.base import ByScore
from al_runner.strategies.decorated import changed
from al_runner.strategies.loss_prediction import Build, WithLossPrediction, feature_maps, with_ranking
from al_runner.strategies.ranges import finite
from al_runner.strategies.wrapped import Wrapped
from al_runner.types import Fit, Fitted, Learner, TrainData, chunks

NEVER = 2**62  # forward passes


@dataclass(frozen=True)
class LearningLoss(ByScore):
    """The candidates of highest predicted loss."""

    layers: tuple[str, ...] | None = None  # names of the layers whose maps the module reads; None: see feature_maps
    hidden: int = 128  # width a map is brought to
    margin: float = 1.0  # xi
    weight: float = 1.0  # lambda, of the ranking loss beside the net's own
    cut_after: int | None = 120  # passes over the data after which the module's gradient stops at the maps
    needs: ClassVar[Needs] = Needs(network=True)

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise UsageError(f"strategy.hidden is {self.hidden}; it must be 1 or more")
        for name in ("margin", "weight"):
            if not getattr(self, name) > 0:
                raise UsageError(f"strategy.{name} is {getattr(self, name)}; it must be above 0 (1 is the default)")
        if self.cut_after is not None and self.cut_after < 0:
            raise UsageError(f"strategy.cut_after is {self.cut_after}; it must be 0 or more, or null for never")

    def check(self, net: nn.Module, x: Tensor) -> None:
        feature_maps(net, x, self.layers)

    def wrap(self, learner: Learner) -> Learner:
        return PredictingLosses(learner, self)

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        return finite(predicted_losses(fitted.network(), pool.x(ids)), "a predicted loss")


@torch.inference_mode()
def predicted_losses(net: nn.Module, x: Tensor) -> Tensor:
    """Uint8 [N, C, H, W] -> [N]; TypeError for a net without a loss-prediction module."""
    if not isinstance(net, WithLossPrediction):
        raise TypeError("learning loss chooses by what its own wrap(learner) has trained")
    return torch.cat([net.losses(part) for part in chunks(x)])


@dataclass(frozen=True)
class PredictingLosses(Wrapped):
    """Trains every net of another learner together with a loss-prediction module, which is part of it from then on."""

    options: LearningLoss

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        return await changed(self.base.fit(data, streams, previous), self.with_module)

    def with_module(self, fit: Fit) -> Fit:
        """The same training of the net and a loss-prediction module."""
        options = self.options
        layers = None if options.layers is None else tuple(options.layers)
        per_pass = ceil(len(fit.data.y) / fit.recipe.batch_size)
        cut = NEVER if options.cut_after is None else options.cut_after * per_pass
        build = Build(fit.build, fit.data.x[:1].cpu(), layers, options.hidden, cut)
        loss = partial(with_ranking, fit.loss, margin=options.margin, weight=options.weight)
        return fit._replace(build=build, loss=loss)
