"""The common part of learners that train a classifier together with nets that make images for it.

N images, K posterior samples, Y classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.generative.nets import Bottleneck, Sizes
from al_runner.generative.parts import BuildParts, Makers, Making, Parts, require_pixels, stored
from al_runner.learners.dropout import DropoutNet, has_dropout
from al_runner.learners.plain import RECIPE, SingleNet
from al_runner.models.inputs import NetBuilder
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.kinds import Count, Few, Means, Takes
from al_runner.settings.optimisers import OptimiserOptions
from al_runner.training import Fit, Recipe, Schedule, trained
from al_runner.types import Fitted, TrainData
from al_runner.wrapped import WrappedFit

Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Generated(WrappedFit):
    """A trained classifier, as one net or a posterior, and the nets that were trained with it.

    It reports how informative bought images are, and how informative generated images of the same labels are.
    """

    parts: Parts
    score: Score
    joint: Making
    streams: Streams

    def facts(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """Mean scores of the bought images, uint8 [n, C, H, W] and [n], and of generated images of the same labels."""
        return {"bought_score": self.scores(x).mean().item(), "made_score": self.scores(self.made(y)).mean().item()}

    def shown(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """The bought images, uint8 [n, C, H, W] and [n], and generated images of the same labels."""
        return {"bought": x, "generated": self.made(y)}

    def scores(self, x: Tensor) -> Tensor:
        """How informative images are by `score`, uint8 [n, C, H, W] -> [n]."""
        return self.score(self.log_probs(x))

    def made(self, y: Tensor) -> Tensor:
        """Images g(z, y), the same at every call, int64 [n] -> uint8 [n, C, H, W]."""
        z = self.joint.latents(len(y), self.streams("made")).to(y.device)
        with torch.inference_mode():
            return stored(self.parts.generator(z, y))


@dataclass(frozen=True)
class Generating:
    """A classifier that is trained by `recipe`, together with nets that make images. A subclass gives them in `joint`.

    With `samples` above 1, draws of the classifier's dropout are posterior samples, as with learner=dropout. Raises
    UsageError if the data set holds floats, if the recipe augments images, if the posterior needs dropout and the net
    has none, or if the images are too small for the nets.
    """

    build: NetBuilder
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    optimizer: Annotated[
        Callable[..., torch.optim.Optimizer],
        Means("the optimiser of the nets that make and judge images; the classifier has training.optimizer"),
        Takes(OptimiserOptions),
    ]
    score: Annotated[
        Score, Means("the a(x) of proposition 2.1, which compares bought and generated images in queries.csv")
    ]
    schedule: Annotated[Schedule | None, Means("factors of that optimiser's learning rate; null: a constant rate")] = (
        None
    )
    samples: Annotated[
        Few, Means("how often the classifier predicts, each time with new dropout masks; 1: once, without masks")
    ] = 20
    shared_masks: Annotated[bool, Means("all images have the same masks in a sample")] = True
    latent: Annotated[Count, Means("how many numbers a latent code has")] = 100
    maps: Annotated[Count, Means("filters of the generative nets' first convolution; the second has twice as many")] = (
        64
    )
    units: Annotated[Count, Means("units of the generative nets' dense layers")] = 1024
    bottleneck: ClassVar[Bottleneck | None] = None

    def __post_init__(self) -> None:
        require_pixels(self.build.dtype, "a learner that trains a generator")
        if self.recipe.augment is not None:
            raise UsageError(
                "training.augment can't be used with a learner that makes images; use learner=dropout or "
                "learner=plain, or a training= without augmentation"
            )
        if self.samples > 1 and not has_dropout(self.build):
            raise UsageError(
                f"learner.samples is {self.samples}, but the net has no dropout layers; "
                "use model.dropout=0.5 if the model has that option, model=lenet5, or learner.samples=1"
            )
        with torch.random.fork_rng(devices=[]):
            self.build_parts()

    @property
    def continues(self) -> bool:
        return False

    @property
    def gives(self) -> Gives:
        consistent = self.samples == 1 or self.shared_masks
        return Gives(samples=self.samples, consistent=consistent, extendable=False)

    @property
    def makers(self) -> Makers:
        return Makers(self.optimizer, self.schedule)

    @property
    def joint(self) -> Making:
        """How the nets are trained together."""
        raise NotImplementedError

    @property
    def build_parts(self) -> BuildParts:
        return BuildParts(self.build, Sizes(self.latent, self.maps, self.units), self.bottleneck, self.recipe.init)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Generated:
        recipe = replace(self.recipe, init=None)  # the builder applies init, to the classifier only
        (result,) = await trained([Fit(self.build_parts, recipe, data, streams, joint=self.joint)])
        parts = result.net.eval()
        assert isinstance(parts, Parts)
        classifier = self.posterior(parts.classifier, result.steps, streams)
        return Generated(classifier, parts, self.score, self.joint, streams)

    def posterior(self, net: nn.Module, steps: int, streams: Streams) -> SingleNet | DropoutNet:
        if self.samples == 1:
            return SingleNet(net, steps)
        return DropoutNet.of(net, steps, self.samples, self.shared_masks, streams("posterior masks"))
