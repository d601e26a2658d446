"""Checks that a data set which somebody else's code made has the form that `DataSet` promises.

N images, Y classes.
"""

import torch
from torch import Tensor

from al_runner.data.labels import no_class
from al_runner.errors import UsageError
from al_runner.labels import OF_NO_CLASS, UNKNOWN, UNSURE
from al_runner.system.chunks import in_parts
from al_runner.types import DataSet

READ = 1024  # images that are checked at once; fewer if they are large
KINDS = (torch.uint8, torch.float16, torch.float32)


def well_formed(data: object, maker: str) -> DataSet:
    """The data set itself. Raises UsageError, which names its `maker`, if it has another form than `DataSet` says."""
    if not isinstance(data, DataSet):
        raise UsageError(
            f"{maker} gave {type(data).__name__} in place of a data set; return split.apply(Arrays(...)), or a changed "
            "data set, as dataclasses.replace makes it"
        )
    trouble = _of_tensors(data) or _of_ids(data) or _of_classes(data) or _of_values(data)
    if trouble:
        raise UsageError(f"{maker} gave a data set that can't be used: {trouble}")
    return data


def _of_tensors(data: DataSet) -> str | None:
    """What is wrong with the types and the shapes, or None."""
    if not isinstance(data.images, Tensor) or data.images.ndim != 4 or data.images.dtype not in KINDS:
        return f"images is {_form(data.images)}; it must be a tensor [N, C, H, W] of uint8, float16 or float32"
    count = len(data.images)
    if not isinstance(data.labels, Tensor) or data.labels.dtype != torch.int64 or data.labels.shape != (count,):
        return f"labels is {_form(data.labels)}; it must be an int64 tensor [{count}], one label for each image"
    for name in ("train", "val", "test"):
        ids = getattr(data, name)
        if not isinstance(ids, Tensor) or ids.dtype != torch.int64 or ids.ndim != 1:
            return f"{name} is {_form(ids)}; it must be an int64 tensor of one dimension, the rows of its images"
    return None


def _form(value: object) -> str:
    """A tensor's or an array's type and shape; another value's class."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def _of_ids(data: DataSet) -> str | None:
    """What is wrong with the parts, or None."""
    count = len(data.images)
    for name in ("train", "val", "test"):
        ids = getattr(data, name)
        if name != "val" and not len(ids):
            return f"{name} is empty; give it the rows of some images"
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < count:
            return f"{name} has rows {int(ids.min())} .. {int(ids.max())}, but there are {count} images"
    if bool((data.train.diff() <= 0).any()):
        return "train has a row twice, or is not in ascending order; give train.unique()"
    used, times = torch.cat([data.train, data.val, data.test]).unique(return_counts=True)
    if bool((times > 1).any()):
        return (
            f"{int((times > 1).sum())} images are in train, val or test more than once, the first in row "
            f"{int(used[times > 1][0])}; give every image one part"
        )
    return None


def _of_classes(data: DataSet) -> str | None:
    """What is wrong with the names of the classes and with the labels of the images that have a part, or None."""
    names = data.classes
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        return "classes must be a tuple of words, such as ('cat', 'dog')"
    if len({*names}) < len(names):
        return f"classes are {', '.join(names)}; give every class another name"
    labels = data.labels[torch.cat([data.train, data.val, data.test])]
    if not min(UNKNOWN, UNSURE, OF_NO_CLASS) <= int(labels.min()) <= int(labels.max()) < len(names):
        return no_class("labels", int(labels.min()), int(labels.max()), len(names))
    if len(data.files) not in (0, len(data.images)):
        return f"files has {len(data.files)} names, but there are {len(data.images)} images; give one for each, or none"
    return None


def _of_values(data: DataSet) -> str | None:
    """The first image with a value that is no number, or None. Images of a file were checked when it was read."""
    if data.source is not None or not data.images.is_floating_point():
        return None
    row = 0
    for part in in_parts(data.images, READ):
        finite = part.isfinite().flatten(1).all(1)
        if not bool(finite.all()):
            return f"images has NaN or an infinite value in row {row + int((~finite).nonzero()[0, 0])}; leave it out"
        row += len(part)
    return None
