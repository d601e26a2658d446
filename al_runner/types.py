"""The nouns every part shares.

N examples, C colour channels, H x W pixels, K posterior samples, Y classes.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import log
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.errors import UsageError
from al_runner.needs import Gives
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Many, Means, NotNegative, Positive, Share, Takes


@dataclass(frozen=True, eq=False)
class DataSet:
    """Every image of a data set and who is used for what. A vector of D numbers is an image [D, 1, 1].

    An id is a row of `images`, int64, and stays the same whatever the split: the prepared file's
    train images come first, its test images follow, then its validation images, if it has any.
    """

    images: Tensor  # uint8, or float16 or float32, [N, C, H, W], channels last in memory
    labels: Tensor  # int64 [N], 0 .. Y-1
    train: Tensor  # ids that may be bought, int64, ascending
    val: Tensor  # ids for early stopping only
    test: Tensor  # ids for the record only
    classes: tuple[str, ...]
    features: Tensor | None = None  # [N, D], by which a method may choose while the net sees the images

    def to(self, device: torch.device) -> "DataSet":
        tensors = ("images", "labels", "train", "val", "test", *(() if self.features is None else ("features",)))
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

    x: Tensor  # [N, C, H, W], of the data set's type, as all images below
    y: Tensor  # int64 [N]
    val_x: Tensor
    val_y: Tensor
    unlabelled: Images | None = None  # the pool's other images, for learners that use them
    old: int = 0  # the first so many examples were there before the newest purchase
    added: int = 0  # the last so many were not bought: pseudo-labelled, generated or adversarial ones

    def plus(self, x: Tensor, y: Tensor) -> "TrainData":
        """With more training examples that were not bought."""
        return self._replace(x=torch.cat([self.x, x]), y=torch.cat([self.y, y]), added=self.added + len(y))


Loss = Callable[[Any, Tensor], Tensor]  # of the net's output in training and the labels, a mean


@runtime_checkable
class Schedule(Protocol):
    """A learning rate that changes during training."""

    @property
    def whole(self) -> bool:
        """Whether it is meant for the whole of training, so that training must not end early."""

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        """The factor of the optimiser's own rate at `step`, 0 to `steps` - 1, with a check every `per_check` steps."""


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
    of a fixed number of passes has that number as `check_passes`, and `max_checks` 1: its last weights are kept.
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
    schedule: Annotated[
        Schedule | None, Means("factors of the learning rate during training; null: a constant rate")
    ] = None
    label_smoothing: Annotated[Share, Means("share of every label that is spread evenly over all classes")] = 0.0
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
                f"training.schedule={type(self.schedule).__name__} needs the whole of training; keep it from ending "
                "early with training.max_checks=1 and training.check_passes=the number of passes"
            )

    @property
    def loss(self) -> Loss:
        """Mean cross-entropy in nats, with the labels smoothed as the recipe says (Szegedy et al., 2016, section 7)."""
        return partial(cross_entropy, label_smoothing=self.label_smoothing) if self.label_smoothing else cross_entropy

    def minibatch_sizes(self, count: int, least: int = 1) -> list[int]:
        """How a pass over `count` examples is divided; a remainder of fewer than `least` joins the minibatch before it.

        Only nets that can't be trained on so few (`least_minibatch`) ask for more than 1.
        """
        full, rest = divmod(count, self.batch_size)
        if full and rest < least:
            return [self.batch_size] * (full - 1) + [self.batch_size + rest]
        return [self.batch_size] * full + [rest]

    def steps_per_check(self, count: int, least: int = 1) -> int:
        """Optimiser steps between two checks on `count` examples."""
        return max(self.check_every, self.check_passes * len(self.minibatch_sizes(count, least)))

    def rate_factor(self, step: int, per_check: int) -> float:
        """What the optimiser's own learning rate is multiplied by at this step, counted from 0."""
        return 1.0 if self.schedule is None else self.schedule(step, per_check, per_check * self.max_checks)


def least_minibatch(net: nn.Module) -> int:
    """How many examples a net needs in a minibatch: BatchNorm has no variance of one."""
    return 2 if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in net.modules()) else 1


class Fit(NamedTuple):
    """One training to be carried out by an engine."""

    # A net of fresh weights, drawn from torch's global generator; builders of equal repr build equal architectures.
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: TrainData
    streams: Streams
    loss: Loss | None = None  # None: the recipe's
    start: Mapping[str, Tensor] | None = None  # a state_dict to begin from in place of fresh weights
    # Relative chances, [N] on the CPU, with which minibatches are drawn, with replacement; None: passes over all.
    chances: Tensor | None = None

    @property
    def criterion(self) -> Loss:
        """The loss that training makes small."""
        return self.loss or self.recipe.loss


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
        """Log class probabilities in nats, [N, C, H, W] -> [N, K, Y]; K = 1 for a single net."""

    def features(self, x: Tensor) -> Tensor:
        """What the last dense layer sees, [N, C, H, W] -> [N, D]; UsageError where there is no such layer."""

    def network(self) -> nn.Module:
        """The single net behind the predictions, in evaluation mode; UsageError where there is none."""


class Unfitted:
    """In place of a fit where nothing is labelled yet: UsageError for whoever asks it."""

    steps = 0

    def log_probs(self, x: Tensor) -> Tensor:
        raise UsageError("nothing is fitted before the initial set is bought; choose budget.initial_by=random")

    def features(self, x: Tensor) -> Tensor:
        return self.log_probs(x)

    def network(self) -> nn.Module:
        raise UsageError("no net is trained before the initial set is bought; choose budget.initial_by=random")


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


SMALL = 3 * 32 * 32  # values of the largest image of which as many are taken at once as of any other


def at_once(count: int, values: int) -> int:
    """How many images of so many values each to take at once, where `count` are taken of SMALL ones: no more values."""
    return max(1, count * SMALL // max(SMALL, values))


def chunks(x: Tensor) -> tuple[Tensor, ...]:
    """The images of one forward pass after another, [N, ...], fewer at a time where they are large.

    Few enough for a CPU's caches, many enough for a GPU.
    """
    return x.split(at_once(4096 if x.is_cuda else 512, x[:1].numel()))  # type: ignore[no-any-return]


def rows_within(most: int, numbers: int) -> int:
    """How many rows of so many `numbers` are held at once: at most `most` numbers together, but one row at least."""
    return max(1, most // max(1, numbers))


def mean_log_probs(log_probs: Tensor) -> Tensor:
    """Log of the mean probability over posterior samples, [N, K, Y] -> [N, Y]."""
    mean: Tensor = log_probs.logsumexp(1) - log(log_probs.shape[1])
    return mean.clamp_max(0)  # rounding takes some certainties above 1
