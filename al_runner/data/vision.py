"""Data sets of torchvision. It is imported only if a data set must be prepared."""

import gzip
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from al_runner.data.arrays import Arrays, checked
from al_runner.data.prepared import prepared
from al_runner.data.split import AnySplit
from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.system.text import one_line
from al_runner.system.torchvision import torchvision_datasets
from al_runner.types import DataSet

# Folders where packages of an operating system put original files: Debian's dataset-fashion-mnist.
PACKAGED = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}


@options("dataset")
def vision(
    data_root: str,
    name: Annotated[str, Means("name of the prepared file")],
    dataset: Annotated[str, Means("name of the class in torchvision.datasets")],
    train: Annotated[Mapping[str, Any], Means("arguments of that class for the training images")],
    test: Annotated[Mapping[str, Any], Means("arguments of that class for the test images")],
    split: AnySplit,
) -> DataSet:
    """The data set `name`, prepared from the torchvision class `dataset`; `train` and `test` are its arguments.

    The original files are downloaded if they are neither below `data_root` nor in `PACKAGED`. Raises UsageError if the
    download fails or the files are damaged.
    """
    make = partial(_from_torchvision, Path(data_root), name, dataset, (train, test))
    return split.apply(prepared(data_root, name, make))


def _from_torchvision(root: Path, name: str, dataset: str, arguments: tuple[Mapping[str, Any], ...]) -> Arrays:
    source = getattr(torchvision_datasets(), dataset, None)
    if source is None:
        raise UsageError(f"dataset.dataset={dataset} is no class of torchvision.datasets; choose one of those")
    _unpack_packaged(root, dataset)
    parts = [_part(partial(source, root=str(root), **chosen), root, name) for chosen in arguments]
    (train_images, train_labels), (test_images, test_labels) = (_arrays(part) for part in parts)
    names = getattr(parts[0], "classes", range(int(train_labels.max()) + 1))
    held = Arrays(train_images, train_labels, test_images, test_labels, np.array([str(label) for label in names]))
    return checked(name, held.named(), channels="last", relabel=True)  # EMNIST's letters name a class without images


def _unpack_packaged(root: Path, dataset: str) -> None:
    """Unpack the files of an operating system's package to the folder that torchvision reads, if that is empty.

    Debian compresses the files again, so they differ from torchvision's checksums, and torchvision does not take them.
    """
    raw = root / dataset / "raw"
    packaged = sorted(PACKAGED[dataset].glob("*.gz")) if dataset in PACKAGED else []
    if not packaged or any(raw.glob("*")):
        return
    partial_folder = raw.with_name("raw.partial")
    partial_folder.mkdir(parents=True, exist_ok=True)
    for file in packaged:
        with gzip.open(file) as source, (partial_folder / file.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    raw.mkdir(exist_ok=True)  # a failed download may have left the empty folder
    raw.rmdir()
    partial_folder.rename(raw)


def _part(source: Callable[..., Any], root: Path, name: str) -> Any:
    """The train or test part from the files on disk, without a look at their checksums, else from a download."""
    try:
        return source(download=False)
    except Exception as error:  # bz2, numpy and scipy each raise errors of their own
        absent = isinstance(error, FileNotFoundError) or "not found" in str(error)
        if not absent:
            raise UsageError(
                f"{name}: its original files below {root} can't be read ({one_line(error)}); "
                "put sound copies there, or move the files away and they will be downloaded again"
            ) from error
    try:
        return source(download=True)
    except Exception as error:  # the network, the archive and the disk each raise errors of their own
        raise UsageError(
            f"{name} could not be downloaded ({one_line(error)}); connect this machine once, "
            f"or put the data set's original files, or {name}.npz, into {root}"
        ) from error


def _arrays(part: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = np.asarray(part.data)
    if type(part).__name__ == "SVHN":  # the only one with its channels first
        images = images.transpose(0, 2, 3, 1)
    labels = part.labels if hasattr(part, "labels") else part.targets
    return images.astype(np.uint8, copy=False), np.asarray(labels).astype(np.int64)
