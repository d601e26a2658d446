"""Tells Hydra, before it composes conf/, about our resolvers, our overrides and the folder of our launchers."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from al_runner.errors import UsageError
from al_runner.record.run_id import RunId
from al_runner.settings import overrides, sweep_jobs
from al_runner.settings.help import settings
from al_runner.system.gpus import gpus_in_turn

# Hydra finds launchers only in the namespace package hydra_plugins, of which ours is one portion.
sys.path.append(str(Path(__file__).parent))


def jobs(device: str, threads: int = 1) -> int:
    """How many runs to do at the same time: one for each GPU that they may use, or for every `threads` CPU cores."""
    gpus = gpus_in_turn(device)
    if gpus or device.startswith("cuda"):
        return max(1, gpus)
    if not isinstance(threads, int) or threads < 1:  # the runs themselves refuse it
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def plain(value: object) -> str:
    """A name as part of a folder's. Raises UsageError if it leads out of the results folder, or can't be printed."""
    name = str(value)
    strange = "\\" in name or not name.isprintable() or len(name) > 200
    if strange or name.startswith(("/", "~")) or ".." in name.split("/"):
        raise UsageError(f"{name!r} can't be part of a folder's name; give one without .., backslashes or line breaks")
    return name


def folder(run: Mapping[str, Any]) -> str:
    """The run's folder below `results`. Raises UsageError if a part of its name could lead out of that."""
    return str(RunId(*(plain(run[part]) for part in RunId._fields)).folder)  # type: ignore[arg-type] # seed unchecked


OmegaConf.register_new_resolver("al.plain", plain, replace=True)
OmegaConf.register_new_resolver("al.folder", folder, replace=True)
OmegaConf.register_new_resolver("al.suffix", lambda name: f"-{plain(name)}" if name or name == 0 else "", replace=True)
OmegaConf.register_new_resolver("al.jobs", jobs, replace=True)
OmegaConf.register_new_resolver("al.settings", settings, replace=True)
OmegaConf.register_new_resolver("al.home", lambda folder: str(Path(str(folder)).expanduser()), replace=True)

# Hydra, which is held below 1.4, has no hook for how overrides are applied, and none for how jobs are composed.
setattr(ConfigLoaderImpl, "_apply_overrides_to_config", staticmethod(overrides.apply))  # noqa: B010 - mypy forbids the assignment
setattr(ConfigLoaderImpl, "load_sweep_config", sweep_jobs.load)  # noqa: B010 - as above
