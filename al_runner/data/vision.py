"""Data sets that torchvision knows; it is imported only to prepare one."""

import gzip
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import InstanceOf

from al_runner.data.archive import one_line
from al_runner.data.arrays import Arrays, checked
from al_runner.data.prepared import prepared
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet

# Where a package of the operating system puts what torchvision would download: Debian's dataset-fashion-mnist.
PACKAGED = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}


@options("dataset")
def vision(
    data_root: str,
    name: Annotated[str, Means("of the prepared file, and of the run's folder")],
    dataset: Annotated[str, Means("the class of torchvision.datasets")],
    train: Annotated[Mapping[str, Any], Means("arguments of that class for the training images")],
    test: Annotated[Mapping[str, Any], Means("arguments of that class for the test images")],
    split: Annotated[InstanceOf[Split], Means("who is trained, validated and tested on")],
) -> DataSet:
    """The data set `name`, prepared from the torchvision class `dataset`, whose arguments for its parts are given.

    Downloads where its original files are neither below `data_root` nor in `PACKAGED`; UsageError where that fails, or
    where they are damaged.
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
    """Unpack files that a package has brought to where torchvision looks for them, if there are none.

    Debian has compressed them anew, so torchvision, which knows the checksums of the published archives, can't do it.
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
    raw.mkdir(exist_ok=True)  # a download that failed may have left it there, empty
    raw.rmdir()
    partial_folder.rename(raw)


def _part(source: Callable[..., Any], root: Path, name: str) -> Any:
    """The train or test part from files that are there, whatever their checksum, else from a download."""
    try:
        return source(download=False)
    except Exception as error:  # damage raises whatever bz2, numpy or scipy meets first
        absent = isinstance(error, FileNotFoundError) or "not found" in str(error)
        if not absent:
            raise UsageError(
                f"{name}: its original files below {root} can't be read ({one_line(error)}); "
                "put sound copies there, or move them away, and they are downloaded again"
            ) from error
    try:
        return source(download=True)
    except Exception as error:  # torchvision raises whatever the network, the archive or the disk does
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


def torchvision_datasets() -> ModuleType:
    """torchvision.datasets, also beside a CPU-only torch; UsageError names the fix where it can't be imported.

    torchvision's wheels on PyPI are linked with CUDA; beside a CPU-only torch their compiled operators do not load, and
    the import fails where it registers them. No data set uses one, so the names that are missed are declared
    and the import is tried again.
    """
    declared: set[str] = set()
    while True:
        try:
            import torchvision.datasets  # noqa: PLC0415 - see the module's first line

            return torchvision.datasets  # type: ignore[no-any-return]
        except (ImportError, RuntimeError) as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None or missing[1] in declared:
                raise UsageError(
                    f"torchvision can't be imported ({one_line(error)}); install the one made for torch "
                    f"{torch.__version__} (for a CPU build of torch: "
                    "pip install torchvision --index-url https://download.pytorch.org/whl/cpu)"
                ) from error
            declared.add(missing[1])
            _declare(missing[1])


def _declare(operator: str) -> None:
    """Declare an operator that is never called, and forget the torchvision that was half imported."""
    torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
