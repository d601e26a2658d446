"""Checks that an experiment on a data set is possible, for every source of images."""

import logging

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN
from al_runner.system.text import listed
from al_runner.types import DataSet

log = logging.getLogger(__name__)


def usable(data: DataSet) -> DataSet:
    """The data set itself. Raises UsageError if its training images are all equal or all of one class.

    A line of the log names the classes that have no training image.
    """
    labels = data.labels[data.train]
    counts = torch.bincount(labels[labels >= 0], minlength=len(data.classes)).tolist()
    present = [name for name, count in zip(data.classes, counts, strict=True) if count]
    complete = not bool((labels == UNKNOWN).any())  # if False, images without a label may be of any class
    if len(present) < 2 and complete:
        raise UsageError(
            f"the {len(data.train)} training images are all of class {', '.join(map(repr, present))}: there is nothing "
            "to tell apart; add images of another class"
        )
    first = data.images[data.train[0]]
    if all(torch.equal(data.images[id_], first) for id_ in data.train):
        raise UsageError(
            f"the {len(data.train)} training images are all equal; look at the files (if they are white drawings on "
            "transparency, set dataset.ground=black)"
        )
    absent = [name for name in data.classes if name not in present and complete]
    if absent:
        log.warning("no training image is of class %s, so a net can't learn it", listed([*map(repr, absent)], 5))
    return data


def require_labels(labels: Tensor, setting: str) -> None:
    """Raises UsageError if one of these images has no label; `setting` is what needs them all."""
    without = int((labels == UNKNOWN).sum())
    if without:
        raise UsageError(
            f"{setting} needs a label for every image, but {without} of {len(labels)} have none; leave it out"
        )
