"""The device of a run, and torch's settings."""

import os

import torch
from omegaconf import DictConfig

from al_runner.errors import UsageError


def set_torch(cfg: DictConfig) -> None:
    """Set torch's threads and precision; if deterministic, only algorithms that give the same bits every time."""
    torch.set_num_threads(cfg.threads)
    torch.backends.cudnn.allow_tf32 = False  # training.precision turns it on for a fit
    if cfg.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.backends.cudnn.benchmark = False
    # A call imports a compiler, which takes over a second.
    if cfg.deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(cfg.deterministic)


def torch_device(name: str, job: int) -> torch.device:
    """The device of job number `job`; the jobs of a sweep use all GPUs in turn.

    Raises UsageError if `name` names no device, or one that can't be used here.
    """
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and cuda:
        return torch.device("cuda", job % torch.cuda.device_count())
    try:
        torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"device={name} is no name of a device; use auto, cpu, cuda, or cuda:1 for the second"
        ) from error
    try:
        torch.zeros(1, dtype=torch.float64, device=name).item()  # measurements and Fisher factors need such numbers
    except TypeError as error:
        raise UsageError(f"device={name} has no float64 numbers, which al-run needs; use device=cpu") from error
    except (RuntimeError, AssertionError) as error:
        gpus = torch.cuda.device_count()
        raise UsageError(
            f"device={name} can't be used here (CUDA devices that torch {torch.__version__} sees: {gpus}); "
            "use device=cpu or device=auto, or install a build of torch for that device"
        ) from error
    return torch.device(name)
