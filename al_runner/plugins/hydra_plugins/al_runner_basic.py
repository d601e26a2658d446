"""hydra/launcher=basic: the runs of a sweep, one after another, in this process."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

from al_runner.sweeps.begin import conclude, folders_of

# Replaces Hydra's own launcher of this name, which raises only the error of the first failed run.
TARGET = {"_target_": "hydra_plugins.al_runner_basic.OneByOneLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="basic", node=TARGET, provider="al-runner")


class OneByOneLauncher(BasicLauncher):
    """Hydra's own launcher, but it runs all jobs to their end. Then it raises one error that names the failed jobs."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        assert self.hydra_context is not None
        assert self.config is not None
        folders_of(self.hydra_context, self.config, job_overrides)
        returns: Sequence[JobReturn] = super().launch(job_overrides, initial_job_idx)
        conclude(returns)
        return returns
