"""Data sets that torchvision knows; it is imported only to prepare one."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from al_runner.data.prepared import Arrays, prepared
from al_runner.data.split import Split
from al_runner.errors import UsageError
from al_runner.types import DataSet


def vision(
    data_root: str, name: str, dataset: str, train: Mapping[str, Any], test: Mapping[str, Any], split: Split
) -> DataSet:
    """The data set `name`, prepared from the torchvision class `dataset`, whose arguments for its parts are given.

    Downloads where its files are not below `data_root` already; UsageError where that fails.
    """
    return split.apply(prepared(data_root, name, partial(_from_torchvision, Path(data_root), dataset, train, test)))


def _from_torchvision(root: Path, dataset: str, train: Mapping[str, Any], test: Mapping[str, Any]) -> Arrays:
    source = getattr(torchvision_datasets(), dataset)
    parts = [_part(source, root, arguments) for arguments in (train, test)]
    (train_images, train_labels), (test_images, test_labels) = (_arrays(part) for part in parts)
    names = getattr(parts[0], "classes", range(int(train_labels.max()) + 1))
    return Arrays(train_images, train_labels, test_images, test_labels, np.array([str(name) for name in names]))


def _part(source: Callable[..., Any], root: Path, arguments: Mapping[str, Any]) -> Any:
    try:
        return source(root=str(root), download=False, **arguments)
    except (RuntimeError, FileNotFoundError):  # its files are not there yet
        pass
    try:
        return source(root=str(root), download=True, **arguments)
    except Exception as error:  # torchvision raises whatever the network, the archive or a parser does
        raise UsageError(
            f"{getattr(source, '__name__', source)} could not be downloaded to {root} ({error}); connect this machine "
            "once, or put the data set's original files, or its prepared .npz, there"
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
    for _ in range(8):  # one more than operators were ever missed
        try:
            import torchvision.datasets  # noqa: PLC0415 - see the module's first line

            return torchvision.datasets  # type: ignore[no-any-return]
        except ImportError as error:
            raise UsageError(f"torchvision can't be imported ({error}); pip install torchvision") from error
        except RuntimeError as error:
            missing = str(error).partition("torchvision::")[2].split(" ")[0]
            if not missing:
                break
            _declare(missing)
    raise UsageError(
        "torchvision does not go with the installed torch; install the version made for it "
        "(torch 2.13.0 goes with torchvision 0.28.0)"
    )


def _declare(operator: str) -> None:
    torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
