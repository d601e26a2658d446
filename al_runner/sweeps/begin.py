"""How a sweep begins and ends, with any launcher."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from al_runner.errors import UsageError
from al_runner.record.state import DONE, LAUNCH, mark_waiting, read
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.sweeps.worker import AL_RUN

log = logging.getLogger(__name__)

RETRIES = "new starts for a run whose process or machine was lost; it goes on after its last recorded round"


def begin(config: DictConfig) -> Path:
    """Set up Hydra's resolvers, the log and the folder of a sweep, as every launcher must. Returns the folder."""
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    root = Path(str(config.hydra.sweep.dir))
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def back_to(config: DictConfig) -> Iterator[None]:
    """Afterwards Hydra's own configuration is that of the sweep `config` again, whatever was set inside."""
    try:
        yield
    finally:
        HydraConfig.instance().set_config(config)


def folder_of(context: HydraContext, config: DictConfig, overrides: Sequence[str]) -> Path:
    """The folder of a job of the sweep `config`. It leaves the job's configuration as Hydra's: see `back_to`."""
    job = context.config_loader.load_sweep_config(config, list(overrides))
    HydraConfig.instance().set_config(job)  # the resolver `hydra:` reads it
    return Path(str(job.hydra.sweep.dir), str(job.hydra.sweep.subdir))


def folders_of(context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> list[Path | None]:
    """Every job's folder, or None if a job can't be composed; its error comes when it runs.

    Raises UsageError as `require_apart`.
    """
    folders: list[Path | None] = []
    with back_to(config):
        for overrides in job_overrides:
            folders.append(None)
            with suppress(*USER_ERRORS):
                folders[-1] = folder_of(context, config, overrides)
    require_apart(folders, job_overrides)
    return folders


def require_apart(folders: Sequence[Path | None], job_overrides: Sequence[Sequence[str]]) -> None:
    """Raises UsageError if two jobs of a sweep have the same folder, because a folder holds one run."""
    first: dict[Path, Sequence[str]] = {}
    for folder, overrides in zip(folders, job_overrides, strict=True):
        if folder is not None and first.setdefault(folder, overrides) is not overrides:
            raise UsageError(in_one_folder(folder, filter_overrides(first[folder]), filter_overrides(overrides)))


def in_one_folder(folder: Path, one: Sequence[str], other: Sequence[str]) -> str:
    """The error for two jobs with the same folder, with what to do."""
    differing = [word for word in other if word not in one]
    if not differing:
        return f"the sweep has the job {' '.join(one)} twice; name it once"
    key = differing[0].partition("=")[0].lstrip("+")
    both = f"{' '.join(word for word in one if word not in other)} and {' '.join(differing)}"
    name = f"'name={key.rpartition('.')[2]}${{{key}}}'"
    return f"{both} have the same folder, {folder}; tell such jobs apart by their name, as with {name}"


def announce(context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> list[Path | None]:
    """Note in every job's folder that it waits, for al-status. Returns and raises as `folders_of`."""
    folders = folders_of(context, config, job_overrides)
    for folder, overrides in zip(folders, job_overrides, strict=True):
        if folder is not None:
            with suppress(Exception):
                note_waiting(folder, overrides, launch_of(config.hydra))
    return folders


def note_waiting(folder: Path, overrides: Sequence[str], launch: Sequence[str], job: str = "") -> None:
    """Note in its folder that a run waits; `job` is its Slurm job, if it waits in Slurm's queue."""
    mark_waiting(folder, [*filter_overrides(overrides)], launch, job)


def outcome(overrides: Sequence[str], error: str | None) -> JobReturn:
    """The result of a run, for Hydra; `error` is None, or one line that says why it failed."""
    result = JobReturn(overrides=list(filter_overrides(overrides)))
    result.status = JobStatus.COMPLETED if error is None else JobStatus.FAILED
    result.return_value = None if error is None else UsageError(error)
    return result


def ended(folder: Path, overrides: Sequence[str]) -> JobReturn:
    """The result of a run that another process carried out, read from its folder."""
    state = read(folder)
    if state is None:
        return outcome(overrides, "it never began")
    return outcome(overrides, None if state.state == DONE else state.error or state.state)


def launch_of(hydra: DictConfig) -> list[str]:
    """Hydra's part of the command line. Followed by a run's overrides, it starts that run again."""
    if LAUNCH in os.environ:  # this process carries out a part of another process's sweep
        return [*json.loads(os.environ[LAUNCH])["launch"]]
    extra = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    words = [word for word in hydra.overrides.hydra if not word.startswith("hydra.mode=")]
    return [*["-m"] * (hydra.mode is RunMode.MULTIRUN), *(f"--config-dir={path}" for path in extra), *words]


def part_command(hydra: DictConfig, job_overrides: Sequence[Sequence[str]], *words: str) -> list[str]:
    """The command for a process that carries out some of a sweep's jobs; `words` say how it gets and launches them."""
    theirs = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "-m")
    ours = [word for word in launch_of(hydra) if not word.lstrip("+~").startswith(theirs)]
    common = [word for word in filter_overrides(job_overrides[0]) if all(word in job for job in job_overrides)]
    return [*AL_RUN, "-m", *ours, *words, *common]


def part_environment(hydra: DictConfig) -> dict[str, str]:
    """The environment variables that the process of `part_command` needs."""
    return {LAUNCH: json.dumps({"launch": launch_of(hydra)})}


def conclude(returns: Sequence[JobReturn]) -> None:
    """Log that all jobs are done, or raise one UsageError that names every failed job."""
    failed = [job for job in returns if job.status is JobStatus.FAILED]
    if failed:
        lines = [f"  {' '.join(job.overrides or [])}: {explain(job._return_value)}" for job in failed]
        count = f"{len(failed)} of {len(returns)} jobs failed; the others are recorded, and the same command"
        raise UsageError("\n".join([f"{count} runs the failed ones again", *lines]))
    log.info("all %d jobs are done; al-plot draws them", len(returns))
