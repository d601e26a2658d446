"""The command al-run: Hydra's composition, and errors as one line."""

import errno
import logging
import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from al_runner.errors import UsageError
from al_runner.record.state import LAUNCH
from al_runner.settings.explain import MENDABLE, conf_dir, explain
from al_runner.system.console import nobody_reads_on
from al_runner.system.signals import Stopped, listening

FOLDER_TROUBLE = (errno.EEXIST, errno.ENOTDIR, errno.EROFS, errno.ENOSPC, errno.EDQUOT)

# Hydra finds launchers only in the namespace package hydra_plugins, of which ours is one portion.
sys.path.append(str(Path(__file__).parent / "plugins"))


def jobs(device: str, threads: int = 1) -> int:
    """How many runs go side by side: one a GPU, or one for so many CPU cores as it has threads."""
    import torch  # noqa: PLC0415 - two seconds that al-run --help need not spend

    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return max(1, torch.cuda.device_count())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def plain(value: object) -> str:
    """A name as part of a folder's; UsageError where it could lead out of the results folder, or disturb a terminal."""
    name = str(value)
    strange = "\\" in name or not name.isprintable() or len(name) > 200
    if strange or name.startswith(("/", "~")) or ".." in name.split("/"):
        raise UsageError(f"{name!r} can't be part of a folder's name; give one without .., backslashes or line breaks")
    return name


OmegaConf.register_new_resolver("al.plain", plain, replace=True)
OmegaConf.register_new_resolver("al.suffix", lambda name: f"-{plain(name)}" if name or name == 0 else "", replace=True)
OmegaConf.register_new_resolver("al.jobs", jobs, replace=True)


def overrides_last(words: list[str]) -> list[str]:
    """The command line's words in the order that Hydra wants, so that `al-run dataset=usps -m seed=0,1` works too."""
    return sorted(words, key=lambda word: word.startswith("~") or ("=" in word and not word.startswith("-")))


def start(cfg: DictConfig) -> None:
    """One job; in a sweep Hydra calls it in a process of its own."""
    from al_runner.job import run_alone  # noqa: PLC0415 - torch, see above

    try:
        run_alone(cfg)
    except MENDABLE as error:
        if HydraConfig.get().mode is RunMode.RUN:  # past Hydra, which would add lines of its own
            sys.exit(f"al-run: {explain(error)}")
        # The way back from a worker process drops an exception's cause, which may hold the message.
        raise UsageError(explain(error)) from error


def main() -> None:
    """Run al-run's command line; exit code 1 and one line where something is the user's to mend."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then leaves exceptions to us
    logging.raiseExceptions = False  # a log that can't be written is no trouble; a record that can't be says so itself
    sys.path.append(os.getcwd())  # a `_target_` may name the user's own module, as with python -m
    sys.argv[1:] = overrides_last(sys.argv[1:])
    try:
        with listening(quiet=LAUNCH in os.environ):
            hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(start)()
    except Stopped as stop:
        if LAUNCH not in os.environ:  # a sweep's worker leaves that to the sweep
            print("al-run: interrupted; the same command resumes where it stopped", file=sys.stderr)
        sys.exit(128 + stop.signum)
    except MENDABLE as error:
        sys.exit(f"al-run: {explain(error)}")
    except BrokenPipeError:  # `al-run --help | head`: nobody reads on
        sys.exit(nobody_reads_on())
    except OSError as error:
        if not isinstance(error, PermissionError) and error.errno not in FOLDER_TROUBLE:
            raise
        sys.exit(
            f"al-run: {error.filename} can't be written ({error.strerror}); choose another folder with results=..."
        )


if __name__ == "__main__":
    main()
