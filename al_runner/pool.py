"""The pool: ids that were bought, ids that may be chosen, and labels that stay hidden until they are bought."""

from collections.abc import Callable, Hashable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from al_runner.labels import OF_NO_CLASS, UNKNOWN
from al_runner.rng import Streams
from al_runner.types import DataSet, Fitted

T = TypeVar("T")
# From the ids of a purchase, and of all that was bought before, to those of the purchase that are for validation.
SetAside = Callable[[Tensor, Tensor], Tensor]


class Outcome(NamedTuple):
    """How well a net predicts after a purchase."""

    error: float  # share of wrong predictions
    loss: float  # mean negative log-likelihood, in nats


class Foresight(Protocol):
    """What purchases would bring. Nobody knows it: only upper lines are given it, and only in a simulation."""

    async def validation(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        """On the validation images, of nets that are fitted once each batch of ids is bought as well, int64 [n] each.

        `fitted` is the fit of now. All nets draw from the same `streams`.
        """

    async def test(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        """The same on the test images."""


class Pool:
    """The training ids of a data set, and the labels of those that were bought. It holds no other labels.

    `labelled` holds the bought ids in order of purchase. `set_aside` says which of them are for `validation`; without
    it none are. The others are for `training`; the first `old` of these are from before the newest purchase. `rejected`
    holds the bought ids that are of no class, which nothing is trained on. `asked` counts the labelled and the rejected
    images, and those that a strategy made and the oracle could not tell.
    `unlabelled` holds all others in ascending order. `candidates` are the unlabelled ids that the next query may choose
    from. All are int64 ids into `DataSet.images`. Images that a strategy `made` itself have the ids after those; they
    are neither unlabelled nor candidates. `foresight` is None, unless the run's strategy is an upper line.
    """

    foresight: Foresight | None = None

    def __init__(self, data: DataSet, set_aside: SetAside | None = None):
        self._images, self._train, self._features = data.images, data.train, data.features
        self.classes = len(data.classes)
        self._labels = data.train.new_full((len(data.images),), UNKNOWN)
        self.set_aside = set_aside
        self.labelled, self.training, self.validation, self.rejected = (data.train[:0] for _ in range(4))
        self.old, self.asked = 0, 0
        self.unlabelled = data.train
        self.candidates = data.train
        self.made = data.train[:0]
        self._sets: Tensor | None = None
        self._made_once: dict[Hashable, Any] = {}

    @property
    def sets(self) -> Tensor:
        """What a query may choose, ids [M, K]: every candidate by itself, or the sets that were drawn."""
        return self.candidates[:, None] if self._sets is None else self._sets

    @property
    def candidates_by_id(self) -> Tensor:
        """The candidates in ascending order, for a strategy whose random draws or sums depend on the order."""
        return self.candidates.sort().values

    def x(self, ids: Tensor) -> Tensor:
        """Images, [N, C, H, W]."""
        return self._images[ids]

    def features(self, ids: Tensor) -> Tensor:
        """Features that no fit is needed for, float32 [N, D]: the data set's own, or else the images' values."""
        if self._features is None:
            return self._images[ids].flatten(1).float()
        return self._features[ids].float()

    def y(self, ids: Tensor) -> Tensor:
        """Labels of labelled ids, int64 [N]. Raises ValueError if one was not bought, or is of no class."""
        labels = self._labels[ids]
        for number, why in ((UNKNOWN, "it was not bought"), (OF_NO_CLASS, "it is of no class")):
            if bool((labels == number).any()):
                raise ValueError(f"the label of id {int(ids[labels == number][0])} was read, but {why}")
        return labels

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns at the first call with this key; later calls of the run get the same object.

        It is for what takes long and depends on nothing that a purchase changes: the train ids, `features`, options
        and the seed. A resumed run then makes the same again.
        """
        if key not in self._made_once:
            self._made_once[key] = make()
        value: T = self._made_once[key]
        return value

    def draw_candidates(self, count: int, rng: torch.Generator) -> None:
        """Make `count` random unlabelled ids the candidates, in random order; if there are fewer, all of them."""
        order = torch.randperm(len(self.unlabelled), generator=rng).to(self.unlabelled.device)
        self.candidates, self._sets = self.unlabelled[order[:count]], None

    def offer(self, sets: Tensor) -> None:
        """Let the next query choose among `sets` of candidates, ids [M, K]."""
        self._sets, self.candidates = sets, sets.unique()

    def in_order(self) -> "Pool":
        """The pool with its candidates in ascending order, for several choices in a query; this one does not change."""
        same = copy(self)
        same.candidates = self.candidates_by_id
        return same

    def among(self, ids: Tensor) -> "Pool":
        """The pool as if `ids` were its only unlabelled images, for one of several choices in a query; no foresight."""
        part = copy(self)
        part.candidates, part.unlabelled, part._sets = ids, ids.sort().values, None
        part.foresight, part._made_once = None, {}
        return part

    def after(self, ids: Tensor, labels: Tensor) -> "Pool":
        """The pool as a purchase would leave it; this one does not change. Errors as in `buy`."""
        later = copy(self)
        later._labels = self._labels.clone()
        later.buy(ids, labels)
        return later

    def over_sets(self, scores: Tensor) -> Tensor:
        """The mean score of the candidates in every set, [N] -> [M]."""
        places = torch.empty(len(self._labels), dtype=torch.int64, device=self.candidates.device)
        places[self.candidates] = torch.arange(len(scores), device=places.device)
        return scores[places[self.sets]].mean(1)

    def best(self, scores: Tensor, count: int) -> Tensor:
        """`count` ids from the sets with the highest `scores`, [M] -> [count]; of equal sets the earlier one wins."""
        return self.sets[top(scores, count)].flatten()[:count]

    def add(self, images: Tensor) -> Tensor:
        """Take in images that a strategy made, uint8 [N, C, H, W], and give them ids, by which they can be bought."""
        first = len(self._images)
        ids = torch.arange(first, first + len(images), device=self._train.device)
        self._images = torch.cat([self._images, images.to(self._images)])
        self._labels = torch.cat([self._labels, torch.full_like(ids, UNKNOWN)])
        self.made = torch.cat([self.made, ids])
        return ids

    def buy(self, ids: Tensor, labels: Tensor) -> None:
        """Add the oracle's `labels` of `ids`, int64 [N] each.

        Images of the pool that are OF_NO_CLASS become `rejected`. Made images that the oracle could not tell, UNKNOWN,
        are left out. Raises ValueError if the ids are not distinct unlabelled or made ids, or if another label is below
        0.
        """
        if ids.dtype != torch.int64 or ids.ndim != 1:
            raise ValueError(f"ids are {ids.dtype} of shape {list(ids.shape)}; they must be int64 of one dimension")
        if len(ids.unique()) != len(ids):
            raise ValueError("the same id was chosen twice in one query")
        made = torch.isin(ids, self.made[self._labels[self.made] == UNKNOWN])
        foreign = ids[~made & ~torch.isin(ids, self.unlabelled)]
        if len(foreign):
            raise ValueError(f"id {int(foreign[0])} is not an unlabelled id of the pool")
        fitting = labels.dtype == torch.int64 and labels.shape == ids.shape
        if not fitting or bool(((labels < 0) & (labels != torch.where(made, UNKNOWN, OF_NO_CLASS))).any()):
            raise ValueError(f"the oracle must give {len(ids)} int64 labels of 0 or more, but it gave {labels}")
        self.asked += len(ids)
        self._labels[ids] = labels
        self.rejected = torch.cat([self.rejected, ids[labels == OF_NO_CLASS]])
        ids = ids[labels >= 0]
        aside = ids[:0] if self.set_aside is None else self.set_aside(ids, self.labelled)
        self.old = len(self.training)
        self.labelled = torch.cat([self.labelled, ids])
        self.training = torch.cat([self.training, ids[~torch.isin(ids, aside)]])
        self.validation = torch.cat([self.validation, aside])
        self.unlabelled = self._train[self._labels[self._train] == UNKNOWN]
        self.candidates, self._sets = self.unlabelled, None


def top(scores: Tensor, count: int) -> Tensor:
    """Positions of the `count` highest scores, [N] -> [count], highest first; of equal scores the earlier one wins."""
    return scores.argsort(descending=True, stable=True)[:count]


def shuffled(ids: Tensor, rng: torch.Generator) -> Tensor:
    """The ids, or the rows of any tensor, in random order."""
    return ids[torch.randperm(len(ids), generator=rng).to(ids.device)]


@dataclass(frozen=True)
class ImagesOf:
    """The images of a pool's `ids`, read when they are asked for."""

    pool: Pool
    ids: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        return self.pool.x(self.ids[rows])


def random_ids(pool: Pool, count: int, rng: torch.Generator) -> Tensor:
    """`count` random candidates of the pool, in random order; they come set by set if sets were drawn."""
    return shuffled(pool.sets, rng).flatten()[:count]


def class_shares(count: int, classes: int) -> list[int]:
    """`count` divided among `classes` as evenly as possible; the first classes get one more if there is a remainder."""
    return [count // classes + (label < count % classes) for label in range(classes)]
