"""How a net is trained (`Recipe`), and a training that an engine is asked to carry out (`Fit`).

N examples, C colour channels, H x W pixels.
"""

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.balance import BalancedLoss, class_weights, example_weights
from al_runner.errors import UsageError
from al_runner.rng import Streams, global_stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Many, Means, NotNegative, Reads, Share, Takes
from al_runner.settings.optimisers import OptimiserOptions
from al_runner.types import TrainData

Loss = Callable[[Any, Tensor], Tensor]  # from the net's output in training and the labels to a mean loss


@runtime_checkable
class Schedule(Protocol):
    """A learning rate that changes during training."""

    @property
    def whole(self) -> bool:
        """Whether it needs the whole training, so that training must not end early."""

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        """The factor of the optimiser's rate at `step`, 0 to `steps` - 1; there is a check every `per_check` steps."""


@options("training")
@dataclass(frozen=True)
class Recipe:
    """How a net is trained from scratch; the fields are the keys of conf/training/*.yaml.

    A check measures the validation error, or the validation loss if `monitor` says so. There is one every `check_every`
    steps, or every `check_passes` passes over the data if that is longer. Training ends if the error has not fallen to
    (1 - min_improvement) times its best for `patience` checks, or after `max_checks`, or at the first error of at most
    `target_error`. Then the weights with the lowest validation error are restored, unless `keep` says last. To end at a
    training error, a fit has its training examples as `val_x`. For a fixed number of passes, `check_passes` is that
    number and `max_checks` is 1: the last weights are kept.
    """

    optimizer: Annotated[
        Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        Means("what turns gradients into steps"),
        Takes(OptimiserOptions),
    ]
    batch_size: Annotated[Count, Means("examples in a minibatch")] = 64
    check_every: Annotated[Many, Means("steps from one validation to the next")] = 1
    check_passes: Annotated[
        Many,
        Means("passes over the labelled images from one validation to the next, if that is longer than check_every"),
    ] = 1
    patience: Annotated[Count, Means("validations without improvement after which training ends")] = 10
    min_improvement: Annotated[Share, Means("share by which the validation error must fall for an improvement")] = 0.0
    max_checks: Annotated[Count, Means("validations after which training ends in any case")] = 200
    target_error: Annotated[Share | None, Means("a validation error that is good enough to end training at once")] = (
        None
    )
    monitor: Annotated[
        Literal["error", "loss"], Means("what a validation measures: the error, or the mean cross-entropy in nats")
    ] = "error"
    keep: Annotated[
        Literal["best", "last"], Means("the weights that stay: those of the best validation, or of the last one")
    ] = "best"
    schedule: Annotated[
        Annotated[Schedule, Reads("a part with `whole` and `__call__(step, per_check, steps)`")] | None,
        Means("factors of the learning rate during training; null: a constant rate"),
    ] = None
    label_smoothing: Annotated[Share, Means("share of every label that is spread evenly over all classes")] = 0.0
    class_weights: Annotated[
        Literal["balanced"] | None,
        Means("balanced: an example's loss counts in inverse proportion to the images of its class; null: all alike"),
    ] = None
    minibatches: Annotated[
        Literal["shuffled", "balanced"],
        Means("shuffled: passes over the labelled images; balanced: drawn with replacement, classes equally likely"),
    ] = "shuffled"
    repeat_to: Annotated[
        Count | None,
        Means(
            "examples in a pass: fewer labelled images are repeated to this many, each equally often; null: no repeats"
        ),
    ] = None
    drop_last: Annotated[
        bool, Means("leave out the last minibatch of a pass if it is smaller, unless it is the only one")
    ] = False
    reshuffle: Annotated[bool, Means("draw a new order for every pass; false keeps the order of purchase")] = True
    norm_penalty: Annotated[NotNegative, Means("times the sum of the weights' unsquared norms, added to the loss")] = (
        0.0
    )
    init: Annotated[
        Callable[[nn.Module], object] | None, Means("draws initial weights; null keeps the layers' own way")
    ] = None
    same_init: Annotated[bool, Means("the same initial weights in every round")] = False
    augment: Annotated[
        Callable[[], nn.Module] | None, Means("a layer before the net that changes training images alone")
    ] = None
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16"],
        Means("of products in training; tf32 and bfloat16 are faster on recent GPUs and less exact"),
    ] = "float32"

    def __post_init__(self) -> None:
        early = self.patience < self.max_checks or self.target_error is not None
        if early and self.schedule is not None and self.schedule.whole:
            raise UsageError(
                f"training.schedule={type(self.schedule).__name__} needs the whole training, which must not end early; "
                f"set training.patience={self.max_checks}, the number of checks, and training.target_error=null"
            )
        if self.monitor == "loss" and self.target_error is not None:
            raise UsageError("training.target_error needs training.monitor=error; set training.target_error=null")
        if self.minibatches == "balanced" and self.class_weights is not None:
            raise UsageError(
                "training.minibatches=balanced and training.class_weights=balanced would favour rare classes twice; "
                "leave one of them out"
            )
        if self.minibatches == "balanced" and not self.reshuffle:
            raise UsageError(
                "training.minibatches=balanced draws images at random, and training.reshuffle=false keeps their order; "
                "leave one of them out"
            )

    def new_net(self, build: Callable[[], nn.Module], rng: torch.Generator) -> nn.Module:
        """A net from `build`, with new weights from `rng` as `init` draws them."""
        with global_stream(rng):
            net = build()
            if self.init is not None:
                self.init(net)
        return net

    def first_net(self, build: Callable[[], nn.Module], streams: Streams) -> nn.Module:
        """The net with which a fit begins, from `build`; the same in every round with `same_init`."""
        return self.new_net(build, (streams.first_round() if self.same_init else streams)("init"))

    def loss(self, y: Tensor) -> Loss:
        """Mean cross-entropy in nats with label smoothing (Szegedy et al., 2016, section 7), for a fit to labels [N].

        With `class_weights` the mean is weighted as `BalancedLoss` says.
        """
        if self.class_weights is not None:
            return BalancedLoss(class_weights(y), self.label_smoothing)
        return partial(cross_entropy, label_smoothing=self.label_smoothing) if self.label_smoothing else cross_entropy

    def minibatch_sizes(self, count: int, least: int = 1) -> list[int]:
        """Sizes of the minibatches of a pass over `count` examples; with `drop_last` they may be fewer.

        With `repeat_to` they may be more. If the last one has fewer than `least` examples, it joins the one before.
        `least` is 1, or more for nets that can't be trained on one example (`least_minibatch`).
        """
        full, rest = divmod(max(count, self.repeat_to or 0), self.batch_size)
        if full and self.drop_last:
            return [self.batch_size] * full
        if full and rest < least:
            return [self.batch_size] * (full - 1) + [self.batch_size + rest]
        return [self.batch_size] * full + [rest]

    def steps_per_check(self, count: int, least: int = 1) -> int:
        """Optimiser steps between two checks on `count` examples."""
        return max(self.check_every, self.check_passes * len(self.minibatch_sizes(count, least)))

    def rate_factor(self, step: int, per_check: int) -> float:
        """The factor of the optimiser's learning rate at `step`, which counts from 0."""
        return 1.0 if self.schedule is None else self.schedule(step, per_check, per_check * self.max_checks)


def least_minibatch(net: nn.Module) -> int:
    """How many examples a net needs in a minibatch: 2 with BatchNorm, since one example has no variance, else 1."""
    return 2 if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in net.modules()) else 1


Move = Callable[[str, Tensor], None]  # takes a part's name and a loss, and moves that part's weights by one step


class Joint(Protocol):
    """How a learner takes its own steps, as for a net of several parts. Equal reprs mean equal trainings."""

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        """The recipe of each part, by the name of its submodule: optimiser, schedule and penalty come from it."""

    def step(self, net: Any, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        """Move every part on one minibatch, uint8 [N, C, H, W] and [N].

        Returns the sum of all losses before the moves, detached. `loss` is the loss of the net as a classifier. `rng`,
        on the CPU, is the only source of chance beside dropout.
        """


class Fit(NamedTuple):
    """One training, which an engine carries out."""

    # Makes a net with new weights from torch's global generator; builders with equal repr build equal architectures.
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: TrainData
    streams: Streams
    loss: Loss | None = None  # None: the recipe's, with its class weights
    start: Mapping[str, Tensor] | None = None  # a state_dict to begin from, in place of new weights
    # Relative chances of the examples, [N] on the CPU, for minibatches drawn with replacement; None: the recipe's.
    chances: Tensor | None = None
    joint: Joint | None = None  # None: one loss moves all weights
    # The state of the optimiser to begin from, by the number of the weight; {} for a new one. None: it is not needed
    # afterwards either.
    optimizer_state: Mapping[int, Any] | None = None

    @property
    def criterion(self) -> Loss:
        """The loss that training minimises; it is made anew at every call."""
        return self.loss or self.recipe.loss(self.data.y)

    @property
    def drawn_by(self) -> Tensor | None:
        """Relative chances of the examples to be drawn, [N] on the CPU; None: passes over all, without replacement."""
        if self.chances is None and self.recipe.minibatches == "balanced":
            return example_weights(self.data.y).cpu()
        return self.chances


class Trained(NamedTuple):
    """What an engine returns for a `Fit`."""

    net: nn.Module
    steps: int
    seconds: float  # the engine's time for this fit; in a stack, an equal share of the stack's time
    optimizer_state: Mapping[int, Any] | None = None  # the optimiser's last state, if the fit has one, too


Result = TypeVar("Result")
Asking = Coroutine[Sequence[Fit], list[Trained] | None, Result]  # it asks for fits, and is sent what comes of them


class trained:
    """Asks the driver of the coroutine to carry out fits; `await trained(fits)` gives one `Trained` for each.

    If fits fail, it raises the exception of the first one. Raises UsageError for what are no fits.
    """

    def __init__(self, fits: Sequence[Fit]):
        if isinstance(fits, Fit):  # a tuple, too
            raise UsageError("trained takes a list of fits and gives a list; write (await trained([fit]))[0]")
        made = next((fit.build for fit in fits if isinstance(fit.build, nn.Module)), None)
        if made is not None:
            raise UsageError("a Fit takes what makes a net, not a net; write Fit(self.build, ...) without ()")
        self.fits = fits

    def __await__(self) -> Generator[Sequence[Fit], list[Trained], list[Trained]]:
        return (yield self.fits)
