"""Imports torchvision beside any build of torch."""

import re
import sys
from types import ModuleType

import torch

from al_runner.errors import UsageError
from al_runner.system.text import one_line


def torchvision_datasets() -> ModuleType:
    """torchvision.datasets, also with a CPU-only torch. Raises UsageError if it can't be imported.

    torchvision's wheels on PyPI are linked with CUDA. With a CPU-only torch their compiled operators do not load, and
    the import fails because the operators are missing. No data set and no net for photographs uses an operator, so this
    function declares the missing names and imports again.
    """
    declared: set[str] = set()
    while True:
        try:
            import torchvision.datasets  # noqa: PLC0415 - it takes a second, and most runs do not need it

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
    """Declare an operator that is never called, and remove the half-imported torchvision from sys.modules."""
    torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
