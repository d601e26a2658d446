"""The types that all parts share.

N examples, C colour channels, H x W pixels, K posterior samples, Y classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS
from al_runner.needs import Gives
from al_runner.rng import Streams

NO_IDS = torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Every image of a data set, and what each is used for. A vector of D numbers is an image [D, 1, 1].

    An id is a row of `images`, int64, and stays the same whatever the split: the prepared file's
    train images come first, its test images follow, then its validation images, if it has any.
    """

    images: Tensor  # uint8, or float16 or float32, [N, C, H, W], channels last in memory
    labels: Tensor  # int64 [N], 0 .. Y-1, or UNKNOWN, or UNSURE, or OF_NO_CLASS
    train: Tensor  # ids that may be bought, int64, ascending
    val: Tensor  # ids for early stopping only; there may be none if labelled images are set aside
    test: Tensor  # ids for the measured test error only
    classes: tuple[str, ...]
    files: tuple[str, ...] = ()  # where each image was read from, by id; empty if the images came as arrays
    source: Mapping[str, Any] | None = None  # the file that holds all images, for the journal; None if unknown
    given: Tensor = NO_IDS  # ids of `train` that have labels beforehand, where others have none
    features: Tensor | None = None  # [N, D]; a method may choose by them while the net sees the images
    unused: int = 0  # images that could be for validation, but labelled images are set aside in their place

    def to(self, device: torch.device) -> "DataSet":
        features = () if self.features is None else ("features",)
        tensors = ("images", "labels", "train", "val", "test", "given", *features)
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})

    def without_validation(self) -> "DataSet":
        """The same data set with its validation images unused."""
        return replace(self, val=self.val[:0], unused=len(self.val))

    @cached_property
    def open(self) -> bool:
        """Whether there are images of no class in the pool (pool=open_set)."""
        return bool((self.labels[self.train] == OF_NO_CLASS).any())

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

    @property
    def newest(self) -> tuple[Tensor, Tensor]:
        """The examples of the newest purchase: images [n, C, H, W] and labels int64 [n]."""
        rows = slice(self.old, len(self.y) - self.added)
        return self.x[rows], self.y[rows]

    def plus(self, x: Tensor, y: Tensor) -> "TrainData":
        """The same data with more training examples, which were not bought."""
        return self._replace(x=torch.cat([self.x, x]), y=torch.cat([self.y, y]), added=self.added + len(y))


class Fitted(Protocol):
    """What a learner returns: a trained net, or a posterior over nets."""

    @property
    def steps(self) -> int:
        """Optimiser steps taken."""

    def log_probs(self, x: Tensor) -> Tensor:
        """Log class probabilities in nats, [N, C, H, W] -> [N, K, Y]; K = 1 for a single net."""

    def features(self, x: Tensor) -> Tensor:
        """Inputs of the last dense layer, [N, C, H, W] -> [N, D]. Raises UsageError if there is no such layer."""

    def network(self) -> nn.Module:
        """The single net behind the predictions, in evaluation mode. Raises UsageError if there is none."""


@runtime_checkable
class Telling(Protocol):
    """A fit that reports numbers and images about a purchase once the labels are known."""

    def facts(self, x: Tensor, y: Tensor) -> Mapping[str, float]:
        """Named numbers about the bought images, uint8 [n, C, H, W] and [n], for queries.csv."""

    def shown(self, x: Tensor, y: Tensor) -> Mapping[str, Tensor]:
        """Named rows of images for the report, one for each bought image, uint8 [n, C, H, W] each."""


class Unfitted:
    """Stands for the fit before anything is labelled. Every use raises UsageError."""

    steps = 0

    def log_probs(self, x: Tensor) -> Tensor:
        raise UsageError("nothing is fitted before the initial set is bought; choose budget.initial_by=random")

    def features(self, x: Tensor) -> Tensor:
        return self.log_probs(x)

    def network(self) -> nn.Module:
        raise UsageError("no net is trained before the initial set is bought; choose budget.initial_by=random")


class Oracle(Protocol):
    """Gives the labels that a run buys."""

    async def label(self, ids: Tensor) -> Tensor:
        """The labels of training ids, int64 [N] -> int64 [N], the same at every call. It may take long."""


@runtime_checkable
class Judge(Oracle, Protocol):
    """An oracle that labels any image, not only those of the data set."""

    async def judge(self, x: Tensor) -> Tensor:
        """Labels of images, uint8 [N, C, H, W] -> int64 [N], UNKNOWN if it can't tell; the same at every call."""


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


class Query(NamedTuple):
    """A choice whose labels are asked for."""

    ids: Tensor  # int64 [n]
    seconds: float  # that the choice took
    facts: Mapping[str, float]  # that the strategy reports about it


class ByClass(NamedTuple):
    """The test errors of a round, class by class."""

    confusion: Tensor  # images by class (row) and prediction (column), int64 [Y, Y] on the CPU
    whole: bool  # record the whole matrix, as at the end of a run, and not only the errors of each class

    def counts(self) -> dict[str, list[Any] | None]:
        """What is recorded: `images` of each class, how many are `wrong`, and if `whole` the cells that are not 0."""
        matrix, cells = self.confusion, self.confusion.nonzero()
        confused = torch.cat([cells, matrix[cells[:, 0], cells[:, 1], None]], dim=1).tolist() if self.whole else None
        images = matrix.sum(1)
        return {"images": images.tolist(), "wrong": (images - matrix.diagonal()).tolist(), "confused": confused}


class Record(Protocol):
    """The record of a run. The loop does not repeat what it holds."""

    def bought(self, round_: int) -> Tensor | None:
        """Ids bought in `round_`, int64, or None if that purchase is not recorded yet."""

    def asked(self, round_: int) -> Query | None:
        """The query of `round_`, or None if no labels were asked for yet."""

    def ask(self, round_: int, ids: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        """Record a query whose labels may take long."""

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        """Record a purchase, the seconds that the choice took, and numbers that the strategy reports about it."""

    def made(self, round_: int, name: str, ids: Tensor, images: Tensor) -> None:
        """Record images that were made for the next purchase, uint8 [n, C, H, W].

        Images named "query" are themselves bought, and have these ids. Images of another name were made after the
        images of these ids, and are only looked at.
        """

    def queried(self, round_: int) -> Tensor | None:
        """The images of a purchase that the strategy made, or None if they are the pool's."""

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        """Record the model's classes and confidence for the images of the next `buy`; nothing depends on them."""

    def measured(self, round_: int) -> bool: ...

    def column(self, name: str) -> list[float]:
        """A measurement of every measured round, NaN if it is unknown."""

    def measure(
        self, round_: int, row: dict[str, float], joules: float | None, by_class: "ByClass | None" = None
    ) -> None:
        """Record a round's measurements, and the joules that this process used for it (None: unknown)."""


def mean_log_probs(log_probs: Tensor) -> Tensor:
    """Log of the mean probability over posterior samples, [N, K, Y] -> [N, Y]."""
    mean: Tensor = log_probs.logsumexp(1) - log(log_probs.shape[1])
    return mean.clamp_max(0)  # rounding makes some probabilities larger than 1
