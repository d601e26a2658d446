"""Labels that are known already and hidden until they are bought: the only place where hidden labels are read."""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import shuffled
from al_runner.types import DataSet


@dataclass(frozen=True)
class Simulated:
    """Answers with the data set's own labels.

    It can also draw images by labels that nobody has bought, for the parts of an experiment that only a simulation
    has: an initial set with equally many images of every class, and sets of images that share a class.
    """

    data: DataSet

    async def label(self, ids: Tensor) -> Tensor:
        return self.data.labels[ids]

    def balanced_ids(self, count: int, classes: int, rng: torch.Generator, class_rng: torch.Generator) -> Tensor:
        """`count` random training ids, equally many of each of the first `classes`, grouped by class.

        Where it does not divide, `class_rng` draws which of the classes that have enough give one more.
        """
        order = shuffled(self.data.train, rng)
        each, more = divmod(count, classes)
        able = [label for label, images in enumerate(self.counts[:classes]) if images > each]
        drawn = {able[place] for place in torch.randperm(len(able), generator=class_rng)[:more].tolist()}
        shares = [each + (label in drawn) for label in range(classes)]
        return torch.cat([order[self.data.labels[order] == label][:share] for label, share in enumerate(shares)])

    def require_every_class(self, count: int, classes: int) -> None:
        """UsageError unless there are enough training images for `balanced_ids` of the same arguments."""
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
                    f"budget.initial_by=balanced wants {wanted}, but the training set has {images}; {remedy}"
                )
        able = sum(images > each for images in counts)
        if able < more:
            raise UsageError(
                f"budget.initial_by=balanced wants {each + 1} images of {more} classes, but only {able} have so many; "
                f"{remedy}"
            )

    @property
    def counts(self) -> list[int]:
        """Training images of every class."""
        labels = self.data.labels[self.data.train]
        counts: list[int] = torch.bincount(labels, minlength=len(self.data.classes)).tolist()
        return counts

    def one_class_sets(self, candidates: Tensor, count: int, size: int, rng: torch.Generator) -> Tensor:
        """`count` random sets of `size` candidates, each set of one class, ids [count, size].

        Every class that has enough candidates is as likely (Kaeding et al., 2016, section 3). From the sets a strategy
        learns which images share a label. UsageError where no class has enough.
        """
        labels = self.data.labels[candidates]
        large = [ids for label in labels.unique() if len(ids := candidates[labels == label]) >= size]
        if not large:
            raise UsageError(f"no class has {size} unlabelled images left for a set; lower budget.max_labelled")
        classes = torch.randint(len(large), (count,), generator=rng).tolist()
        return torch.stack([shuffled(large[place], rng)[:size] for place in classes])
