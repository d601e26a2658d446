"""A person who labels: the run ends where a label is missing, and goes on once it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from al_runner.errors import UsageError, Waiting
from al_runner.labels import UNKNOWN, UNSURE
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet

NAMELESS = ("(no name yet)", "(no second name yet)")  # a net has two outputs at least, however few classes have names


@options("oracle")
@dataclass(frozen=True)
class Person:
    """Answers with the labels that the data set has by now, those of a person among them (`answered`).

    The images that the run is validated and tested on need labels too; they are asked for with the first purchase.
    """

    data: DataSet
    classes: Annotated[
        Sequence[str], Means("names of classes beside those that the data set has; more may be added while labelling")
    ] = ()
    labels: Annotated[
        str | None,
        Means("a filled query.csv; null: the one in the run's folder; the flag --labels FILE means the same"),
    ] = None

    def __post_init__(self) -> None:
        if self.data.images.dtype != torch.uint8:
            raise UsageError(
                "oracle=person shows images, but the data set holds vectors, or numbers that are no pixels; "
                "use oracle=simulated"
            )

    async def label(self, ids: Tensor) -> Tensor:
        """int64 [N] -> int64 [N], UNSURE where the person can't tell; Waiting where one is still to be given."""
        if len(self.open(ids)):
            raise Waiting
        known: Tensor = self.data.labels[ids]
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """All classes that have a name so far; a label is a place among them."""
        every = dict.fromkeys((*self.data.classes, *map(str, self.classes)))
        return (*(name for name in every if name not in NAMELESS),)

    def told(self, labels: Mapping[int, int], added: Sequence[str]) -> "Person":
        """With labels that were given since, and classes added while labelling; `data` then has all of them."""
        names = (*self.names, *added)
        return replace(self, data=answered(self.data, labels, names), classes=names)

    def open(self, ids: Tensor) -> Tensor:
        """Which of `ids`, and of the images to measure with, have no label yet: ids, each once, ascending."""
        wanted = torch.cat([ids, self.data.val, self.data.test]).unique()
        found: Tensor = wanted[self.data.labels[wanted] == UNKNOWN]
        return found


def answered(data: DataSet, labels: Mapping[int, int], classes: Sequence[str]) -> DataSet:
    """The data set with labels that were given since: places among `classes`, or UNSURE.

    Where fewer than two have a name, NAMELESS ones stand for them.

    An image that nobody could label is of no part. UsageError where no image is left to validate or to test on.
    """
    known = data.labels.clone()
    if labels:
        known[torch.tensor([*labels], device=known.device)] = torch.tensor([*labels.values()], device=known.device)
    parts = {name: ids[known[ids] != UNSURE] for name in ("train", "val", "test") for ids in (getattr(data, name),)}
    for name, use in (("val", "validate"), ("test", "test")):
        if not len(parts[name]):
            raise UsageError(
                f"none of the {len(getattr(data, name))} images to {use} on got a label; give more of them with "
                f"dataset.split.{name}=NUMBER and start anew with overwrite=true"
            )
    return replace(data, labels=known, classes=(*classes, *NAMELESS[len(classes) :]), **parts)
