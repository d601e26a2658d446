"""hydra/launcher=processes: joblib's processes, and an end that names every job that failed."""

import logging
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

from al_runner.errors import UsageError

log = logging.getLogger(__name__)


class ProcessesLauncher(JoblibLauncher):  # type: ignore[misc]
    """Runs all jobs to their end, then raises one error for those that failed."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from al_runner.run import explain  # noqa: PLC0415 - Hydra imports its plug-ins while run.py is being imported

        returns: Sequence[JobReturn] = super().launch(job_overrides, initial_job_idx)
        failed = [job for job in returns if job.status is JobStatus.FAILED]
        if failed:
            lines = [f"  {' '.join(job.overrides or [])}: {explain(job._return_value)}" for job in failed]
            count = f"{len(failed)} of {len(returns)} jobs failed; the others are recorded, and the same command"
            raise UsageError("\n".join([f"{count} runs the failed ones again", *lines]))
        log.info("all %d jobs are done; al-plot draws them", len(returns))
        return returns
