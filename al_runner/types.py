"""The types that all parts share.

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

UNKNOWN = -1  # in place of a label that was not bought, that nobody has given yet, or that a net can't tell
UNSURE = -2  # in place of a label that the person who was asked could not give
NO_IDS = torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Every image of a data set and who is used for what. A vector of D numbers is an image [D, 1, 1].

    An id is a row of `images`, int64, and stays the same whatever the split: the prepared file's
    train images come first, its test images follow, then its validation images, if it has any.
    """

    images: Tensor  # uint8, or float16 or float32, [N, C, H, W], channels last in memory
    labels: Tensor  # int64 [N], 0 .. Y-1, or UNKNOWN, or UNSURE
    train: Tensor  # ids that may be bought, int64, ascending
    val: Tensor  # ids for early stopping only
    test: Tensor  # ids for the measured test error only
    classes: tuple[str, ...]
    files: tuple[str, ...] = ()  # where each image was read from, by id; empty if the images came as arrays
    source: Mapping[str, Any] | None = None  # the file that holds all images, for the journal; None if unknown
    given: Tensor = NO_IDS  # ids of `train` that have labels beforehand, where others have none
    features: Tensor | None = None  # [N, D], by which a method may choose while the net sees the images

    def to(self, device: torch.device) -> "DataSet":
        features = () if self.features is None else ("features",)
        tensors = ("images", "labels", "train", "val", "test", "given", *features)
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
    """Images by position: a tensor [n, ...], or an object that reads images only when they are needed."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor: ...


class TrainData(NamedTuple):
    """All that one fit may use: bought examples, validation examples for early stopping, images without labels."""

    x: Tensor  # [N, C, H, W], of the data set's type, as all images below
    y: Tensor  # int64 [N]
    val_x: Tensor
    val_y: Tensor
    unlabelled: Images | None = None  # the pool's other images, for learners that use them
    old: int = 0  # how many examples, the first ones, are from before the newest purchase
    added: int = 0  # how many, the last ones, were not bought: pseudo-labelled, generated or adversarial examples

    def plus(self, x: Tensor, y: Tensor) -> "TrainData":
        """The same data with more training examples, which were not bought."""
        return self._replace(x=torch.cat([self.x, x]), y=torch.cat([self.y, y]), added=self.added + len(y))


Loss = Callable[[Any, Tensor], Tensor]  # from the net's output in training and the labels to a mean loss


@runtime_checkable
class Schedule(Protocol):
    """A learning rate that changes during training."""

    @property
    def whole(self) -> bool:
        """Whether it needs the whole training, so that training must not end early."""

    def __call__(self, step: int, per_check: int, steps: int) -> float:
        """The factor of the optimiser's rate at `step`, 0 to `steps` - 1; there is a check every `per_check` steps."""


class OptimiserOptions(TypedDict, total=False):
    """The options of torch's optimisers that the presets set. Other options can be set with a + before their name."""

    lr: Annotated[Positive, Means("learning rate")]
    weight_decay: Annotated[
        NotNegative, Means("pull of the weights towards 0; with Adam and SGD, the factor of half their squared norm")
    ]
    momentum: Annotated[Share, Means("share of the last step that is added to the next one")]
    nesterov: Annotated[bool, Means("take the gradient at the point where the momentum leads (SGD)")]
    alpha: Annotated[Share, Means("how slowly the mean squared gradient forgets (RMSprop)")]
    betas: Annotated[Sequence[Share], Means("how slowly the mean and the mean squared gradient forget (Adam)")]
    eps: Annotated[NotNegative, Means("added to the root of the mean squared gradient")]
    fused: Annotated[bool | None, Means("one kernel for all weights: the same steps in less time")]
    foreach: Annotated[bool | None, Means("one operation for all weights: the same steps in less time")]


@options("training")
@dataclass(frozen=True)
class Recipe:
    """How a net is trained from scratch; the fields are the keys of conf/training/*.yaml.

    A check measures the validation error. There is one every `check_every` steps, or every `check_passes` passes over
    the data if that is longer. Training ends if the error has not fallen to (1 - min_improvement) times its best for
    `patience` checks, or after `max_checks`, or at the first error of at most `target_error`. Then the weights with the
    lowest validation error are restored. To end at a training error, a fit has its training examples as `val_x`. For a
    fixed number of passes, `check_passes` is that number and `max_checks` is 1: the last weights are kept.
    """

    optimizer: Annotated[
        Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        Means("what turns gradients into steps"),
        Takes(OptimiserOptions),
    ]
    batch_size: Annotated[Count, Means("examples in a minibatch")] = 64
    check_every: Annotated[Many, Means("steps from one validation to the next")] = 1
    check_passes: Annotated[Many, Means("the same in passes over the labelled images; the longer one counts")] = 1
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
                f"training.schedule={type(self.schedule).__name__} needs the whole training, which must not end "
                "early; set training.max_checks=1 and training.check_passes=the number of passes"
            )

    @property
    def loss(self) -> Loss:
        """Mean cross-entropy in nats with label smoothing (Szegedy et al., 2016, section 7)."""
        return partial(cross_entropy, label_smoothing=self.label_smoothing) if self.label_smoothing else cross_entropy

    def minibatch_sizes(self, count: int, least: int = 1) -> list[int]:
        """Sizes of the minibatches of a pass over `count` examples.

        If the last one has fewer than `least` examples, it joins the one before. `least` is 1, or more for nets that
        can't be trained on one example (`least_minibatch`).
        """
        full, rest = divmod(count, self.batch_size)
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


Move = Callable[[str, Tensor], None]  # of a part's name and a loss: one step of that part's weights alone


class Joint(Protocol):
    """How a net of several parts is trained, every part by losses of its own; equal reprs mean equal trainings."""

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        """By the name of each part, a submodule of the net: whose optimiser, schedule and penalty move it."""

    def step(self, net: Any, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        """Every part's moves on a minibatch, uint8 [N, C, H, W] and [N]; the sum of all losses before them, detached.

        `loss` is that of the net as a classifier; `rng`, on the CPU, is the only source of chance beside dropout.
        """


class Fit(NamedTuple):
    """One training, which an engine carries out."""

    # Makes a net with new weights from torch's global generator; builders with equal repr build equal architectures.
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: TrainData
    streams: Streams
    loss: Loss | None = None  # None: the recipe's
    start: Mapping[str, Tensor] | None = None  # a state_dict to begin from, in place of new weights
    # Relative chances of the examples, [N] on the CPU, for minibatches drawn with replacement; None: passes over all.
    chances: Tensor | None = None
    joint: Joint | None = None  # None: all weights take the same loss's steps

    @property
    def criterion(self) -> Loss:
        """The loss that training minimises."""
        return self.loss or self.recipe.loss


class Trained(NamedTuple):
    """What an engine returns for a `Fit`."""

    net: nn.Module
    steps: int
    seconds: float  # the engine's time for this fit; in a stack, an equal share of the stack's time


class trained:
    """Asks the driver of the coroutine to carry out fits; `await trained(fits)` gives one `Trained` for each.

    If fits fail, it raises the exception of the first one.
    """

    def __init__(self, fits: Sequence[Fit]):
        self.fits = fits

    def __await__(self) -> Generator[Sequence[Fit], list[Trained], list[Trained]]:
        return (yield self.fits)


class Fitted(Protocol):
    """What a learner returns: a trained net, or a posterior over nets."""

    @property
    def steps(self) -> int:
        """Optimiser steps taken."""

    def log_probs(self, x: Tensor) -> Tensor:
        """Log class probabilities in nats, [N, C, H, W] -> [N, K, Y]; K = 1 for a single net."""

    def features(self, x: Tensor) -> Tensor:
        """What the last dense layer sees, [N, C, H, W] -> [N, D]; UsageError where there is no such layer."""

    def network(self) -> nn.Module:
        """The single net behind the predictions, in evaluation mode. Raises UsageError if there is none."""


@runtime_checkable
class Telling(Protocol):
    """A fit that has something to tell, and to show, of a purchase once the labels are known."""

    def facts(self, x: Tensor, y: Tensor) -> Mapping[str, float]:
        """Named numbers of what is bought, uint8 [n, C, H, W] and [n], recorded with the query (queries.csv)."""

    def shown(self, x: Tensor, y: Tensor) -> Mapping[str, Tensor]:
        """Named rows of images to look at, one an image bought, uint8 [n, C, H, W] each, drawn in the report."""


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
        """The labels of training ids, int64 [N] -> int64 [N], the same at every call. It may take long."""


@runtime_checkable
class Judge(Oracle, Protocol):
    """An oracle that labels any image, not those of the data set alone."""

    async def judge(self, x: Tensor) -> Tensor:
        """Labels of images, uint8 [N, C, H, W] -> int64 [N], UNKNOWN where it can't tell; the same at every call."""


class Learner(Protocol):
    """Turns bought examples into a `Fitted`.

    `continues` says whether a fit depends on `previous`, the fit of the round before. If it does, a resumed run does
    all its fits again.
    """

    @property
    def continues(self) -> bool: ...

    @property
    def gives(self) -> Gives:
        """What its fits have. Strategies accept or refuse the learner by it."""

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted: ...


SMALL = 3 * 32 * 32  # values of an image; of larger images, fewer are taken at once


def at_once(count: int, values: int) -> int:
    """How many images of `values` numbers each to take at once, if `count` of SMALL numbers are; at least 1."""
    return max(1, count * SMALL // max(SMALL, values))


def chunks(x: Tensor) -> tuple[Tensor, ...]:
    """The images, [N, ...], in parts for one forward pass each; a part has fewer images if they are large.

    A part is small enough for a CPU's caches and large enough for a GPU.
    """
    return x.split(at_once(4096 if x.is_cuda else 512, x[:1].numel()))  # type: ignore[no-any-return]


def rows_within(most: int, numbers: int) -> int:
    """How many rows of `numbers` numbers each to hold at once: at most `most` numbers in all, but at least one row."""
    return max(1, most // max(1, numbers))


def mean_log_probs(log_probs: Tensor) -> Tensor:
    """Log of the mean probability over posterior samples, [N, K, Y] -> [N, Y]."""
    mean: Tensor = log_probs.logsumexp(1) - log(log_probs.shape[1])
    return mean.clamp_max(0)  # rounding takes some certainties above 1
