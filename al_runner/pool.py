"""Who is labelled: ids that were bought, ids that may be chosen, and labels that stay hidden until then."""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.types import DataSet


class Pool:
    """The training ids of a data set, their labels readable only once bought.

    `labelled` holds the bought ids in order of purchase, the first `old` of them from before the newest purchase;
    `unlabelled` all others in ascending order, `candidates` those of the unlabelled that the next query may choose
    from. All int64 ids into `DataSet.images`.
    """

    def __init__(self, data: DataSet):
        self._data = data
        self._bought = torch.zeros(len(data.images), dtype=torch.bool, device=data.images.device)
        self.labelled, self.old = data.train[:0], 0
        self.unlabelled = data.train
        self.candidates = data.train
        self._sets: Tensor | None = None

    @property
    def sets(self) -> Tensor:
        """What a query may choose, ids [M, K]: every candidate by itself, or the sets that were drawn."""
        return self.candidates[:, None] if self._sets is None else self._sets

    @property
    def candidates_by_id(self) -> Tensor:
        """The candidates in ascending order, for a method whose draws or arithmetic depend on the order."""
        return self.candidates.sort().values

    def x(self, ids: Tensor) -> Tensor:
        """Images, uint8 [N, C, H, W]."""
        return self._data.images[ids]

    def y(self, ids: Tensor) -> Tensor:
        """Labels of bought ids, int64 [N]; ValueError where one was not bought."""
        if not bool(self._bought[ids].all()):
            raise ValueError(f"label of id {int(ids[~self._bought[ids]][0])} asked for, but it was not bought")
        return self._data.labels[ids]

    def draw_candidates(self, count: int, rng: torch.Generator) -> None:
        """Make `count` random unlabelled ids (or all, where there are fewer) the candidates, in random order."""
        order = torch.randperm(len(self.unlabelled), generator=rng).to(self.unlabelled.device)
        self.candidates, self._sets = self.unlabelled[order[:count]], None

    def draw_sets(self, count: int, size: int, rng: torch.Generator) -> None:
        """Make `count` random sets of `size` candidates, each of one class, what a query may choose.

        Every class that has enough is as likely (Kaeding et al., 2016, section 3). Reads hidden labels, as only a
        simulated oracle can; of whom the query learns which images share theirs. UsageError where no class has enough.
        """
        labels = self._data.labels[self.candidates]
        large = [ids for label in labels.unique() if len(ids := self.candidates[labels == label]) >= size]
        if not large:
            raise UsageError(f"no class has {size} unlabelled images left for a set; lower budget.max_labelled")
        classes = torch.randint(len(large), (count,), generator=rng).tolist()
        self._sets = torch.stack([shuffled(large[place], rng)[:size] for place in classes])
        self.candidates = self._sets.unique()

    def over_sets(self, scores: Tensor) -> Tensor:
        """Mean over every set of the candidates' scores, [N] -> [M]."""
        places = torch.empty(len(self._bought), dtype=torch.int64, device=self.candidates.device)
        places[self.candidates] = torch.arange(len(scores), device=places.device)
        return scores[places[self.sets]].mean(1)

    def best(self, scores: Tensor, count: int) -> Tensor:
        """`count` ids, of the sets of highest score, [M]; ties fall to the earlier set."""
        return self.sets[top(scores, count)].flatten()[:count]

    def buy(self, ids: Tensor) -> None:
        """Reveal the labels of `ids`; ValueError unless they are distinct unlabelled ids of the pool."""
        if ids.dtype != torch.int64 or ids.ndim != 1:
            raise ValueError(f"ids are {ids.dtype} of shape {list(ids.shape)}; int64 of one dimension is wanted")
        if len(ids.unique()) != len(ids):
            raise ValueError("the same id was chosen twice in one query")
        foreign = ids[~torch.isin(ids, self.unlabelled)]
        if len(foreign):
            raise ValueError(f"id {int(foreign[0])} is not an unlabelled id of the pool")
        self._bought[ids] = True
        self.old = len(self.labelled)
        self.labelled = torch.cat([self.labelled, ids])
        self.unlabelled = self._data.train[~self._bought[self._data.train]]
        self.candidates, self._sets = self.unlabelled, None


def top(scores: Tensor, count: int) -> Tensor:
    """Positions of the `count` highest scores, [N] -> [count], the highest first; ties fall to the earlier position."""
    return scores.argsort(descending=True, stable=True)[:count]


def shuffled(ids: Tensor, rng: torch.Generator) -> Tensor:
    """The ids, or whatever the rows are, in random order."""
    return ids[torch.randperm(len(ids), generator=rng).to(ids.device)]


@dataclass(frozen=True)
class ImagesOf:
    """The images of a pool's `ids`, read when they are asked for, uint8."""

    pool: Pool
    ids: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        return self.pool.x(self.ids[rows])


def random_ids(pool: Pool, count: int, rng: torch.Generator) -> Tensor:
    """`count` of the pool's candidates at random, in random order; whole sets where they were drawn."""
    return shuffled(pool.sets, rng).flatten()[:count]


def class_shares(count: int, classes: int) -> list[int]:
    """`count` over `classes` as evenly as can be, the first ones one more where it does not divide."""
    return [count // classes + (label < count % classes) for label in range(classes)]


def balanced_ids(data: DataSet, count: int, classes: int, rng: torch.Generator, class_rng: torch.Generator) -> Tensor:
    """`count` random training ids, equally many of the first `classes`; reads labels, as only a simulated start can.

    Where it does not divide, `class_rng` draws which of the classes that have enough give one more.
    """
    order = shuffled(data.train, rng)
    held = class_counts(data)[:classes]
    each, more = divmod(count, classes)
    able = [label for label, images in enumerate(held) if images > each]
    drawn = {able[place] for place in torch.randperm(len(able), generator=class_rng)[:more].tolist()}
    shares = [each + (label in drawn) for label in range(classes)]
    return torch.cat([order[data.labels[order] == label][:share] for label, share in enumerate(shares)])


def class_counts(data: DataSet) -> list[int]:
    """Training images of every class."""
    counts: list[int] = torch.bincount(data.labels[data.train], minlength=len(data.classes)).tolist()
    return counts
