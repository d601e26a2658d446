"""Lines about a data set that can be used, but that probably is not what its owner meant."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from al_runner.labels import UNKNOWN
from al_runner.system.chunks import rows_in_parts
from al_runner.types import DataSet

MISSING = ("nan", "none", "null", "n/a", "<na>")  # what other programs write in place of a missing label
CHUNK = 1024  # images that are read at once, or fewer large ones: a mapped file stays on the disk


def doubts(data: DataSet) -> Iterator[str]:
    """Sentences about names of classes, about classes of one image, and about images that occur twice.

    All images are read once.
    """
    yield from _of_names(data.classes)
    training = data.labels[data.train]
    known = training[training != UNKNOWN]
    present = len(known.unique())
    if present > max(2, len(known) // 2):
        yield (
            f"{len(known):,} training images are of {present:,} classes, so most classes have one image; look whether "
            "the labels are classes"
        )
    yield from _of_copies(data)


def _of_names(classes: Sequence[str]) -> Iterator[str]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[" ".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    for names in alike.values():
        if len(names) > 1:
            named = ", ".join(map(ascii, names))  # two names may look the same on the screen
            yield f"the classes {named} have nearly the same name; if they are one class, join them"
    for name in classes:
        if name.strip().lower() in MISSING:
            yield f"a class is called {name!r}; if this stands for a missing label, leave its images out"


def _of_copies(data: DataSet) -> Iterator[str]:
    """Sentences about equal images: in the test set or the validation set and for training, or with two labels."""
    training = _marks(data.images, data.train)
    for ids, part in ((data.test, "test"), (data.val, "validation")):
        copies = int(np.isin(_marks(data.images, ids), training).sum())
        if copies:
            yield f"{copies:,} of {len(ids):,} {part} images are also training images, pixel for pixel"
    labels = data.labels[data.train].numpy()
    pairs = np.unique(np.stack([training, labels])[:, labels != UNKNOWN], axis=1)
    torn = pairs.shape[1] - len(np.unique(pairs[0]))
    if torn:
        yield f"{torn:,} training images occur again with another label, pixel for pixel"


def _marks(images: Tensor, ids: Tensor) -> NDArray[np.int64]:
    """A number for each image, int64 [N]: equal images have equal numbers."""
    chunks = rows_in_parts(ids, CHUNK, images[:1].numel())
    return np.array([hash(image.tobytes()) for chunk in chunks for image in images[chunk].numpy()], np.int64)
