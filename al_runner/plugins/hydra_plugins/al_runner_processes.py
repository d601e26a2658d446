"""hydra/launcher=processes: joblib's processes, and an end that names every job that failed."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

from al_runner.sweeps import announce, conclude


class ProcessesLauncher(JoblibLauncher):  # type: ignore[misc]
    """Runs all jobs to their end, then raises one error for those that failed."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        announce(self.hydra_context, self.config, job_overrides)
        returns: Sequence[JobReturn] = super().launch(job_overrides, initial_job_idx)
        conclude(returns)
        return returns
