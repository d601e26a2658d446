"""How a sweep ends, whichever launcher ran it."""

import logging
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus

from al_runner.errors import UsageError
from al_runner.explain import explain

log = logging.getLogger(__name__)


def conclude(returns: Sequence[JobReturn]) -> None:
    """Say that all jobs are done, or raise one UsageError that names every job that failed."""
    failed = [job for job in returns if job.status is JobStatus.FAILED]
    if failed:
        lines = [f"  {' '.join(job.overrides or [])}: {explain(job._return_value)}" for job in failed]
        count = f"{len(failed)} of {len(returns)} jobs failed; the others are recorded, and the same command"
        raise UsageError("\n".join([f"{count} runs the failed ones again", *lines]))
    log.info("all %d jobs are done; al-plot draws them", len(returns))
