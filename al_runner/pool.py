"""Who is labelled: ids that were bought, ids that may be chosen, and labels that stay hidden until then."""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.types import DataSet

UNKNOWN = -1  # in place of a label that was not bought


class Pool:
    """The training ids of a data set, and the labels of those that were bought; it holds no others.

    `labelled` holds the bought ids in order of purchase, the first `old` of them from before the newest purchase;
    `unlabelled` all others in ascending order, `candidates` those of the unlabelled that the next query may choose
    from. All int64 ids into `DataSet.images`.
    """

    def __init__(self, data: DataSet):
        self._images, self._train, self._features = data.images, data.train, data.features
        self.classes = len(data.classes)
        self._labels = data.train.new_full((len(data.images),), UNKNOWN)
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
        """Images, [N, C, H, W]."""
        return self._images[ids]

    def features(self, ids: Tensor) -> Tensor:
        """Features that no fit is needed for, float32 [N, D]: the data set's own, or else the images' values."""
        if self._features is None:
            return self._images[ids].flatten(1).float()
        return self._features[ids].float()

    def y(self, ids: Tensor) -> Tensor:
        """Labels of bought ids, int64 [N]; ValueError where one was not bought."""
        labels = self._labels[ids]
        if bool((labels == UNKNOWN).any()):
            raise ValueError(f"label of id {int(ids[labels == UNKNOWN][0])} asked for, but it was not bought")
        return labels

    def draw_candidates(self, count: int, rng: torch.Generator) -> None:
        """Make `count` random unlabelled ids (or all, where there are fewer) the candidates, in random order."""
        order = torch.randperm(len(self.unlabelled), generator=rng).to(self.unlabelled.device)
        self.candidates, self._sets = self.unlabelled[order[:count]], None

    def offer(self, sets: Tensor) -> None:
        """Make `sets` of candidates, ids [M, K], what a query may choose."""
        self._sets, self.candidates = sets, sets.unique()

    def over_sets(self, scores: Tensor) -> Tensor:
        """Mean over every set of the candidates' scores, [N] -> [M]."""
        places = torch.empty(len(self._labels), dtype=torch.int64, device=self.candidates.device)
        places[self.candidates] = torch.arange(len(scores), device=places.device)
        return scores[places[self.sets]].mean(1)

    def best(self, scores: Tensor, count: int) -> Tensor:
        """`count` ids, of the sets of highest score, [M]; ties fall to the earlier set."""
        return self.sets[top(scores, count)].flatten()[:count]

    def buy(self, ids: Tensor, labels: Tensor) -> None:
        """Take in the oracle's `labels` of `ids`, [N] each; ValueError unless these are distinct unlabelled ids."""
        if ids.dtype != torch.int64 or ids.ndim != 1:
            raise ValueError(f"ids are {ids.dtype} of shape {list(ids.shape)}; int64 of one dimension is wanted")
        if len(ids.unique()) != len(ids):
            raise ValueError("the same id was chosen twice in one query")
        foreign = ids[~torch.isin(ids, self.unlabelled)]
        if len(foreign):
            raise ValueError(f"id {int(foreign[0])} is not an unlabelled id of the pool")
        if labels.dtype != torch.int64 or labels.shape != ids.shape or bool((labels < 0).any()):
            raise ValueError(f"{len(ids)} labels of 0 or more, int64, are wanted; the oracle gave {labels}")
        self._labels[ids] = labels
        self.old = len(self.labelled)
        self.labelled = torch.cat([self.labelled, ids])
        self.unlabelled = self._train[self._labels[self._train] == UNKNOWN]
        self.candidates, self._sets = self.unlabelled, None


def top(scores: Tensor, count: int) -> Tensor:
    """Positions of the `count` highest scores, [N] -> [count], the highest first; ties fall to the earlier position."""
    return scores.argsort(descending=True, stable=True)[:count]


def shuffled(ids: Tensor, rng: torch.Generator) -> Tensor:
    """The ids, or whatever the rows are, in random order."""
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
    """`count` of the pool's candidates at random, in random order; whole sets where they were drawn."""
    return shuffled(pool.sets, rng).flatten()[:count]


def class_shares(count: int, classes: int) -> list[int]:
    """`count` over `classes` as evenly as can be, the first ones one more where it does not divide."""
    return [count // classes + (label < count % classes) for label in range(classes)]
