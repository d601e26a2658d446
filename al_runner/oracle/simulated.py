"""Simulated labelling: the labels are known already, and hidden until they are bought.

This is the only place where hidden labels are read.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS
from al_runner.pool import shuffled
from al_runner.types import DataSet, Oracle


@dataclass(frozen=True)
class Simulated:
    """Answers with the data set's own labels.

    It can also draw images by labels that were not bought. Only a simulation can do that. It is used for an initial set
    with equally many images of every class, and for sets of images of one class.
    """

    data: DataSet

    def __post_init__(self) -> None:
        data = self.data  # an image of a class that is left out is in no part
        pool, measuring = data.labels[data.train], data.labels[torch.cat([data.val, data.test])]
        unlabelled = int(((pool < 0) & (pool != OF_NO_CLASS)).sum() + (measuring < 0).sum())
        if unlabelled:
            raise UsageError(
                f"{unlabelled} images have no label, and oracle=simulated answers with the data set's own; "
                "take oracle=person to label them yourself, or leave them out"
            )

    async def label(self, ids: Tensor) -> Tensor:
        return self.data.labels[ids]

    def balanced_ids(self, count: int, classes: int, rng: torch.Generator, class_rng: torch.Generator) -> Tensor:
        """`count` random training ids, equally many of each of the first `classes` classes, grouped by class, [count].

        If `count` is not a multiple of `classes`, some classes give one image more. `class_rng` draws them from the
        classes that have enough images.
        """
        order = shuffled(self.data.train, rng)
        each, more = divmod(count, classes)
        able = [label for label, images in enumerate(self.counts[:classes]) if images > each]
        drawn = {able[place] for place in torch.randperm(len(able), generator=class_rng)[:more].tolist()}
        shares = [each + (label in drawn) for label in range(classes)]
        return torch.cat([order[self.data.labels[order] == label][:share] for label, share in enumerate(shares)])

    def require_every_class(self, count: int, classes: int) -> None:
        """Raises UsageError if there are too few training images for `balanced_ids` with the same arguments."""
        names = self.data.classes
        if classes > len(names):
            raise UsageError(f"budget.known is {classes}, but the data set has {len(names)} classes; lower it")
        each, more = divmod(count, classes)
        counts = self.counts[:classes]
        remedy = "lower budget.initial or set budget.initial_by=random"
        for name, images in zip(names, counts, strict=False):
            if images < each:
                wanted = f"{each} images of class {name!r}"
                raise UsageError(
                    f"budget.initial_by=balanced needs {wanted}, but the training set has {images}; {remedy}"
                )
        able = sum(images > each for images in counts)
        if able < more:
            raise UsageError(
                f"budget.initial_by=balanced needs {each + 1} images of {more} classes, but only {able} have as many; "
                f"{remedy}"
            )

    @property
    def counts(self) -> list[int]:
        """The number of training images of every class."""
        labels = self.data.labels[self.data.train]
        counts: list[int] = torch.bincount(labels[labels >= 0], minlength=len(self.data.classes)).tolist()
        return counts

    def one_class_sets(self, candidates: Tensor, count: int, size: int, rng: torch.Generator) -> Tensor:
        """`count` random sets of `size` candidates, each set of one class, ids [count, size].

        All classes with at least `size` candidates are equally likely (Kaeding et al., 2016, section 3). The sets tell
        a strategy which images share a label. Raises UsageError if no class has `size` candidates.
        """
        labels = self.data.labels[candidates]
        known = labels[labels >= 0].unique()
        large = [ids for label in known if len(ids := candidates[labels == label]) >= size]
        if not large:
            raise UsageError(f"no class has {size} unlabelled images left for a set; lower budget.max_labelled")
        classes = torch.randint(len(large), (count,), generator=rng).tolist()
        return torch.stack([shuffled(large[place], rng)[:size] for place in classes])


def simulated(oracle: Oracle, option: str) -> Simulated:
    """The oracle. Raises UsageError if it does not know labels beforehand, which `option` needs."""
    if not isinstance(oracle, Simulated):
        raise UsageError(f"{option} uses labels that are not bought yet; use oracle=simulated, or leave it out")
    return oracle
