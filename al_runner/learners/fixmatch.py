"""FixMatch: a net that also learns from its own confident predictions, on changed images (Sohn et al., 2020)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import log
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.consistency import BuildViews, Consistency
from al_runner.learners.plain import RECIPE, SingleNet
from al_runner.models.inputs import NetBuilder
from al_runner.models.layers import FlipAndShift, require_images
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means, NotNegative, ProperShare, Share
from al_runner.system.chunks import at_once
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, Images, TrainData

CHUNK = 4096  # unlabelled images that are read at once; fewer if they are large


@dataclass(frozen=True)
class FixMatched(SingleNet):
    """A trained net, and the images that were unlabelled when it was trained."""

    unlabelled: Images | None
    threshold: float

    def facts(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """`sure_share`: the share of the unlabelled images whose prediction reaches the threshold, in [0, 1]."""
        if self.unlabelled is None or not len(self.unlabelled):
            return {}
        rows, sure = at_once(CHUNK, x[:1].numel()), 0
        for start in range(0, len(self.unlabelled), rows):
            log_probs = self.log_probs(self.unlabelled[start : start + rows])
            sure += int((log_probs.amax((1, 2)) >= log(self.threshold)).sum())
        return {"sure_share": sure / len(self.unlabelled)}

    def shown(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {}


@options("learner")
@dataclass(frozen=True)
class FixMatch:
    """One net, trained from scratch on the labelled images and, in every step, on unlabelled ones without their labels.

    A step takes `mu` times training.batch_size unlabelled images and changes each of them in two ways, weakly and
    strongly. If the net's most likely class for the weak view has a probability of `threshold` or more, the strong view
    learns this class; the loss is `weight` times the mean over all of them. The weak way is training.augment, for
    labelled images, too. If the training has none, it is a shift by up to 1/8 of the shorter side, without mirroring.
    The strong view is the image after the weak way and then after `strong`. Predictions are those of the weights' mean.

    Raises UsageError if the inputs are vectors or floats, or if `strong` does not make a layer from images to images.
    """

    build: NetBuilder
    recipe: Annotated[InstanceOf[Recipe], Means(RECIPE)]
    strong: Annotated[Callable[[], nn.Module], Means("a layer that changes images strongly, after the weak change")]
    threshold: Annotated[ProperShare, Means("probability from which on a prediction is learned, between 0 and 1")] = (
        0.95
    )
    mu: Annotated[Few, Means("unlabelled images in a step, as a multiple of training.batch_size")] = 7
    weight: Annotated[NotNegative, Means("weight of the unlabelled images' loss beside that of the labelled ones")] = (
        1.0
    )
    ema: Annotated[
        Share, Means("share of itself that the mean of the weights keeps in a step, less at first; 0: no mean")
    ] = 0.999
    continues: ClassVar[bool] = False
    gives: ClassVar[Gives] = Gives(extendable=False)

    def __post_init__(self) -> None:
        if self.build.image_shape[1:] == (1, 1):
            raise UsageError(
                "learner=fixmatch mirrors, turns and covers images, and these inputs are vectors; use "
                "learner=pseudo_labels or learner=plain"
            )
        if self.build.dtype != torch.uint8:
            raise UsageError(
                "learner=fixmatch changes pixels of 0 .. 255, and the data set holds floats; use "
                "learner=pseudo_labels, or scale the images to 0 .. 255 and leave out dataset.values=float"
            )
        require_images(self.strong, torch.zeros(2, *self.build.image_shape, dtype=torch.uint8), "learner.strong")

    @property
    def weak(self) -> Callable[[], nn.Module]:
        """Makes the layer that changes images weakly."""
        return self.recipe.augment or partial(FlipAndShift, pixels=min(self.build.image_shape[1:]) // 8, flip=False)

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> FixMatched:
        build = BuildViews(self.build, self.recipe.init, self.weak, self.strong, self.ema)
        recipe = replace(self.recipe, init=None, augment=None)  # the builder and the step see to them
        joint = Consistency(self.threshold, self.weight, self.mu * recipe.batch_size, data.unlabelled)
        (result,) = await trained([Fit(build, recipe, data, streams, joint=joint)])
        net = result.net.get_submodule("mean").eval()
        return FixMatched(net, result.steps, data.unlabelled, self.threshold)
