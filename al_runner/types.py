"""The nouns every part shares.

N examples, C colour channels, H x W pixels, K posterior samples, Y classes.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Many, Means, NotNegative, Positive, Share, Takes


@dataclass(frozen=True, eq=False)
class DataSet:
    """Every image of a data set and who is used for what.

    An id is a row of `images`, int64, and stays the same whatever the split: the prepared file's
    train images come first, its test images follow.
    """

    images: Tensor  # uint8 [N, C, H, W], channels last in memory
    labels: Tensor  # int64 [N], 0 .. Y-1
    train: Tensor  # ids that may be bought, int64, ascending
    val: Tensor  # ids for early stopping only
    test: Tensor  # ids for the record only
    classes: tuple[str, ...]

    def to(self, device: torch.device) -> "DataSet":
        tensors = ("images", "labels", "train", "val", "test")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})

    @cached_property
    def validation(self) -> tuple[Tensor, Tensor]:
        """Images and labels of `val`, the same tensors at every call."""
        return self.images[self.val], self.labels[self.val]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


class Images(Protocol):
    """A net's inputs by position: a tensor [n, ...], or anything that reads them when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor: ...


class TrainData(NamedTuple):
    """All that one fit may use: bought examples, validation examples for early stopping, images without labels."""

    x: Tensor  # uint8 [N, C, H, W]
    y: Tensor  # int64 [N]
    val_x: Tensor
    val_y: Tensor
    unlabelled: Images | None = None  # the pool's other images, uint8, for learners that use them
    old: int = 0  # the first so many examples were there before the newest purchase
    added: int = 0  # the last so many were not bought: pseudo-labelled, generated or adversarial ones

    def plus(self, x: Tensor, y: Tensor) -> "TrainData":
        """With more training examples that were not bought."""
        return self._replace(x=torch.cat([self.x, x]), y=torch.cat([self.y, y]), added=self.added + len(y))


class OptimiserOptions(TypedDict, total=False):
    """The options of torch's optimisers that the presets set; their other ones may be given with a +."""

    lr: Annotated[Positive, Means("learning rate")]
    weight_decay: Annotated[
        NotNegative, Means("pull of the weights towards 0; of Adam and SGD, half the squared norm's")
    ]
    momentum: Annotated[Share, Means("share of the last step that is taken again")]
    nesterov: Annotated[bool, Means("take the gradient where the momentum leads (SGD)")]
    alpha: Annotated[Share, Means("how slowly the mean squared gradient forgets (RMSprop)")]
    betas: Annotated[Sequence[Share], Means("how slowly the mean and the mean squared gradient forget (Adam)")]
    eps: Annotated[NotNegative, Means("added to the root of the mean squared gradient")]
    fused: Annotated[bool | None, Means("one kernel for all weights: the same steps in less time")]
    foreach: Annotated[bool | None, Means("one operation for all weights: the same steps in less time")]


@options("training")
@dataclass(frozen=True)
class Recipe:
    """How a net is trained from scratch; the fields are the keys of conf/training/*.yaml.

    Every `check_every` steps, or every `check_passes` passes over the data where that is longer, the validation error
    is taken. Training ends once it has not fallen to (1 - min_improvement) times its best for `patience`
    checks, or after `max_checks`, or at the first error of at most `target_error`; the weights with the lowest
    validation error are restored. A fit that is to end at a training error has its training examples as `val_x`; one
    of a fixed number of passes has that number as `check_passes`, and `max_checks` 1.
    """

    optimizer: Annotated[
        Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        Means("what turns gradients into steps"),
        Takes(OptimiserOptions),
    ]
    batch_size: Annotated[Count, Means("examples in a minibatch")] = 64
    check_every: Annotated[Many, Means("steps from one validation to the next")] = 1
    check_passes: Annotated[Many, Means("the same in passes over the labelled images; the longer of both counts")] = 1
    patience: Annotated[Count, Means("validations without improvement after which training ends")] = 10
    min_improvement: Annotated[Share, Means("share by which the validation error must fall for an improvement")] = 0.0
    max_checks: Annotated[Count, Means("validations after which training ends in any case")] = 200
    target_error: Annotated[Share | None, Means("a validation error that is good enough to end training at once")] = (
        None
    )
    drop_after: Annotated[
        Sequence[CountOrZero], Means("validations after which the learning rate is multiplied by drop_by")
    ] = ()
    drop_by: Annotated[NotNegative, Means("what the learning rate is multiplied by")] = 0.1
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


class Fit(NamedTuple):
    """One training to be carried out by an engine."""

    # A net of fresh weights, drawn from torch's global generator; builders of equal repr build equal architectures.
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: TrainData
    streams: Streams
    loss: Callable[[Any, Tensor], Tensor] = cross_entropy  # of the net's output in training and the labels, a mean
    start: Mapping[str, Tensor] | None = None  # a state_dict to begin from in place of fresh weights
    # Relative chances, [N] on the CPU, with which minibatches are drawn, with replacement; None: passes over all.
    chances: Tensor | None = None


class Trained(NamedTuple):
    """What an engine returns for a `Fit`."""

    net: nn.Module
    steps: int
    seconds: float  # of the engine's time; of a stack's time, an equal share


class trained:
    """Asks whoever drives the coroutine to carry out fits; awaiting it gives one `Trained` for each.

    The first exception of a fit that failed is raised instead.
    """

    def __init__(self, fits: Sequence[Fit]):
        self.fits = fits

    def __await__(self) -> Generator[Sequence[Fit], list[Trained], list[Trained]]:
        return (yield self.fits)


class Fitted(Protocol):
    """A trained net, or a posterior over nets: whatever a learner returns."""

    @property
    def steps(self) -> int:
        """Optimiser steps taken."""

    def log_probs(self, x: Tensor) -> Tensor:
        """Log class probabilities in nats, uint8 [N, C, H, W] -> [N, K, Y]; K = 1 for a single net."""

    def features(self, x: Tensor) -> Tensor:
        """What the last dense layer sees, uint8 [N, C, H, W] -> [N, D]; UsageError where there is no such layer."""

    def network(self) -> nn.Module:
        """The single net behind the predictions, in evaluation mode; UsageError where there is none."""


class Oracle(Protocol):
    """Who gives the labels that a run buys."""

    async def label(self, ids: Tensor) -> Tensor:
        """The labels of training ids, int64 [N] -> int64 [N], the same at every call; it may take its time."""


class Learner(Protocol):
    """Turns bought examples into a `Fitted`.

    `continues` tells whether a fit depends on `previous`, that of the round before: a resumed run then does all its
    fits again.
    """

    @property
    def continues(self) -> bool: ...

    @property
    def gives(self) -> Gives:
        """What its fits have, by which strategies accept or refuse it."""

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted: ...


def chunks(x: Tensor) -> tuple[Tensor, ...]:
    """The images of one forward pass after another, [N, ...]: few enough for a CPU's caches, many enough for a GPU."""
    return x.split(4096 if x.is_cuda else 512)  # type: ignore[no-any-return]


def rows_within(most: int, numbers: int) -> int:
    """How many rows of so many `numbers` are held at once: at most `most` numbers together, but one row at least."""
    return max(1, most // max(1, numbers))


def mean_log_probs(log_probs: Tensor) -> Tensor:
    """Log of the mean probability over posterior samples, [N, K, Y] -> [N, Y]."""
    mean: Tensor = log_probs.logsumexp(1) - log(log_probs.shape[1])
    return mean.clamp_max(0)  # rounding takes some certainties above 1
