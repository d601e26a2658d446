"""A person who labels: the run ends if a label is missing, and goes on when the person has given it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from unicodedata import normalize

import torch
from torch import Tensor

from al_runner.errors import UsageError, Waiting
from al_runner.labels import NAMELESS, UNKNOWN, UNSURE
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet


@options("oracle")
@dataclass(frozen=True)
class Person:
    """Gives the labels that `data` holds; a person's answers are put into it first (`with_answers`).

    The validation and test images need labels too; they are asked for with the first purchase. Raises UsageError if
    the data set holds no uint8 images.
    """

    data: DataSet
    classes: Annotated[
        Sequence[str], Means("class names besides those of the data set; the person may add more while labelling")
    ] = ()
    labels: Annotated[
        str | None,
        Means("the filled query.csv, as the flag --labels FILE; null: the one in the run's folder"),
    ] = None

    def __post_init__(self) -> None:
        if self.data.images.dtype != torch.uint8:
            raise UsageError(
                "oracle=person shows images, but the data set holds vectors, or numbers that are no pixels; "
                "use oracle=simulated"
            )

    async def label(self, ids: Tensor) -> Tensor:
        """int64 [N] -> int64 [N], UNSURE if the person couldn't tell. Raises Waiting if a label is still missing."""
        if len(self.without_label(ids)):
            raise Waiting
        known: Tensor = self.data.labels[ids]
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """All classes that have a name so far, in the order of their labels."""
        there = {normalize("NFC", name) for name in self.data.classes}  # macOS takes letters of folders' names apart
        more = (name for name in map(str, self.classes) if normalize("NFC", name) not in there)
        every = dict.fromkeys((*self.data.classes, *more))
        return (*(name for name in every if name not in NAMELESS),)

    def with_answers(self, labels: Mapping[int, int], added: Sequence[str]) -> "Person":
        """The same oracle with a person's labels by id, and the classes that the person added, in its data set."""
        names = (*self.names, *added)
        return replace(self, data=answered(self.data, labels, names), classes=names)

    def without_label(self, ids: Tensor) -> Tensor:
        """The ids, among `ids` and the validation and test images, that have no label yet: ascending, each once."""
        needed = torch.cat([ids, self.data.val, self.data.test]).unique()
        missing: Tensor = needed[self.data.labels[needed] == UNKNOWN]
        return missing


def answered(data: DataSet, labels: Mapping[int, int], classes: Sequence[str]) -> DataSet:
    """The data set with a person's labels by id: numbers of `classes`, or UNSURE.

    If fewer than two classes have names, NAMELESS ones are added. An image that nobody could label belongs to no part.
    Raises UsageError if none of the validation images or of the test images is left.
    """
    known = data.labels.clone()
    if labels:
        known[torch.tensor([*labels], device=known.device)] = torch.tensor([*labels.values()], device=known.device)
    parts = {name: ids[known[ids] != UNSURE] for name in ("train", "val", "test") for ids in (getattr(data, name),)}
    for name, use in (("val", "validate"), ("test", "test")):
        if len(getattr(data, name)) and not len(parts[name]):
            raise UsageError(
                f"none of the {len(getattr(data, name))} images to {use} on got a label; choose more of them with "
                f"dataset.split.{name}=NUMBER and start anew with overwrite=true"
            )
    return replace(data, labels=known, classes=(*classes, *NAMELESS[len(classes) :]), **parts)
