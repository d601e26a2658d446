"""How a sweep begins and ends, whichever launcher runs it."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from al_runner.errors import UsageError
from al_runner.explain import explain
from al_runner.state import wait

log = logging.getLogger(__name__)


def announce(context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> None:
    """Note in every job's folder that it waits, for al-status; a job whose folder can't be had says so when it runs."""
    for overrides in job_overrides:
        with suppress(Exception):
            job = context.config_loader.load_sweep_config(config, list(overrides))
            HydraConfig.instance().set_config(job)
            wait(Path(str(job.hydra.sweep.dir), str(job.hydra.sweep.subdir)), list(job.hydra.overrides.task))
    HydraConfig.instance().set_config(config)


def conclude(returns: Sequence[JobReturn]) -> None:
    """Say that all jobs are done, or raise one UsageError that names every job that failed."""
    failed = [job for job in returns if job.status is JobStatus.FAILED]
    if failed:
        lines = [f"  {' '.join(job.overrides or [])}: {explain(job._return_value)}" for job in failed]
        count = f"{len(failed)} of {len(returns)} jobs failed; the others are recorded, and the same command"
        raise UsageError("\n".join([f"{count} runs the failed ones again", *lines]))
    log.info("all %d jobs are done; al-plot draws them", len(returns))
