"""Checks of a training recipe, and of the user's own parts in it, before any training.

N images, C colour channels, H x W pixels.
"""

from collections.abc import Mapping
from math import isfinite

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.job.methods import require_method
from al_runner.models.inputs import NetBuilder
from al_runner.models.layers import Augmentation, require_images
from al_runner.models.pretrained import Pretrained
from al_runner.system.text import one_line
from al_runner.training import Recipe, least_minibatch
from al_runner.types import Learner

FACTOR = "def __call__(self, step, per_check, steps)"  # how a schedule is called
WRONG = (
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
)  # what a part raises if it is called with what it can't use


def require_pixels(recipe: Recipe, images: Tensor, who: str) -> None:
    """Raises UsageError if vectors would be shifted or mirrored as if they were images [N, C, H, W].

    `who` is the recipe's name, such as `training=adam`.
    """
    if recipe.augment is None or images.shape[-2:] != (1, 1):
        return
    if any(isinstance(layer, Augmentation) for layer in recipe.augment().modules()):
        raise UsageError(
            f"{who} shifts and mirrors images, and these inputs are vectors; use a training= without augmentation, "
            "such as training=adam"
        )


def require_augmentation(recipe: Recipe, images: Tensor, who: str) -> None:
    """Raises UsageError if the recipe's augmentation is no layer from images [N, C, H, W] to images of that shape."""
    if recipe.augment is not None:
        require_images(recipe.augment, images, f"training.augment of {who}")


def recipes_of(learner: Learner) -> dict[str, Recipe]:
    """The recipes of a learner beside that of training=, by their options, such as `learner.first`."""
    return {
        f"learner.{name}": part for name, part in getattr(learner, "__dict__", {}).items() if isinstance(part, Recipe)
    }


def require_favourable(recipe: Recipe, learner: Learner, who: str) -> None:
    """Raises UsageError if training= favours rare classes, and the learner, which the user calls `who`, has no net."""
    favours = recipe.class_weights is not None or recipe.minibatches == "balanced"
    if favours and not recipes_of(learner):
        raise UsageError(
            f"{who} does not train by training=, so training.class_weights and training.minibatches would change "
            "nothing; leave them out"
        )


def require_init(recipes: Mapping[str, Recipe], build: NetBuilder) -> None:
    """Raises UsageError if a recipe can't draw the initial weights of a net, or would draw over trained ones.

    The recipes are by what the user chose them with, such as `training=adam`.
    """
    for who, recipe in recipes.items():
        if recipe.init is None:
            continue
        if isinstance(build.model, Pretrained) and build.model.trained:
            raise UsageError(
                f"{who} draws initial weights (init), over the trained ones of model={build.model.label}; use "
                "training=fine_tune, or another model"
            )
        try:
            recipe.new_net(build, torch.Generator())
        except WRONG as error:
            raise UsageError(
                f"training.init of {who}: {one_line(error)}; it takes a net and changes its weights in place, and its "
                "YAML has _partial_: true"
            ) from error


def require_optimizer(made: object, who: str) -> None:
    """Raises UsageError if what training.optimizer makes is no optimiser, or if it can't take a step.

    The step is taken: `made` has parameters that nobody needs.
    """
    kind = type(made).__name__
    if not isinstance(made, torch.optim.Optimizer):
        raise UsageError(
            f"training.optimizer of {who} makes a {kind}, which is no torch.optim.Optimizer; derive its class from "
            "that, and give its YAML _partial_: true"
        )
    try:
        made.step()
    except WRONG as error:
        raise UsageError(
            f"training.optimizer of {who}: {kind}.step() raised {type(error).__name__} ({one_line(error)}); it is "
            "called without arguments, after the gradients are there"
        ) from error


def require_schedule(recipe: Recipe, net: nn.Module, initial: int, who: str) -> None:
    """Raises UsageError if the schedule gives no rate for the first or the last step of `net` on `initial` examples."""
    if recipe.schedule is None:
        return
    require_method(recipe.schedule, FACTOR, f"training.schedule of {who}")
    per_check = recipe.steps_per_check(initial, least_minibatch(net))
    for step in (0, per_check * recipe.max_checks - 1):
        factor = recipe.rate_factor(step, per_check)
        if not (isinstance(factor, int | float) and isfinite(factor) and factor >= 0):
            raise UsageError(
                f"training.schedule of {who} gives {factor!r} for step {step}; it must give a number of 0 or more, the "
                "factor of the optimiser's rate"
            )


def require_trainable(recipe: Recipe, net: nn.Module, images: Tensor, initial: int, who: str) -> None:
    """Raises UsageError if a minibatch is one image and the net can't be trained on one, as with BatchNorm.

    `who` is the net's name, such as `model=resnet18`. The net may be in training mode afterwards.
    """
    if min(recipe.batch_size, initial) > 1:
        return
    try:
        net.train()(images[:1])
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"{who} can't be trained on one image at a time ({error}); raise training.batch_size to 2 or more, and "
            "budget.initial until 2 images or more are for training"
        ) from error
