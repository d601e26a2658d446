"""How many GPUs a sweep uses."""

import sys
from importlib.metadata import PackageNotFoundError, version


def gpus_in_turn(device: str) -> int:
    """How many GPUs the runs of a sweep take in turn: all of them, or 0 if `device` is a CPU or one certain GPU."""
    imported = "torch" in sys.modules  # then it costs nothing to ask torch itself
    if device not in ("auto", "cuda") or (not imported and for_cpus_only()):
        return 0
    import torch  # noqa: PLC0415 - takes two seconds, which al-run --help and sweeps without a GPU need not wait for

    return torch.cuda.device_count()


def for_cpus_only() -> bool:
    """Whether torch is installed as a build that knows no GPU, such as 2.13.0+cpu; found out without importing it."""
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
