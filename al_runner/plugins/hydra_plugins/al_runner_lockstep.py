"""hydra/launcher=lockstep: all jobs of a sweep in one process; nets with equal layers train together."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override, filter_overrides, run_job
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.sweeps.begin import begin, conclude, folders_of
from al_runner.sweeps.elsewhere import Elsewhere, taken
from al_runner.system.gpus import gpus_in_turn

log = logging.getLogger(__name__)


class LockstepLauncher(Launcher):
    """Runs all jobs to their end, each in its own folder. Then it raises one error that names the failed jobs."""

    @options("hydra.launcher")
    def __init__(
        self,
        max_stacked: Annotated[
            Count | None,
            Means("nets in one stack; null: as many as a GPU's memory holds; on a CPU 1, where stacks are slower"),
        ] = None,
    ):
        super().__init__()
        self.max_stacked = max_stacked

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from al_runner.engine.drive import drive_all  # noqa: PLC0415 - torch takes seconds; al-run --help need not wait
        from al_runner.engine.stacked import Stacked  # noqa: PLC0415
        from al_runner.sweeps.progress import sweep_progress  # noqa: PLC0415

        begin(self.config)
        elsewhere = Elsewhere(folders_of(self.hydra_context, self.config, job_overrides))
        log.info("%d jobs in lock-step%s", len(job_overrides), others_idle(self.config.device))
        returns, left = [JobReturn() for _ in job_overrides], [*range(len(job_overrides))]
        with sweep_progress(len(job_overrides)) as progress:
            while left:
                jobs = {number: Job(self, initial_job_idx + number, job_overrides[number], progress) for number in left}
                # Again, for the lines of the engine: each job has its own handlers.
                configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
                tasks = [job.task for job in jobs.values() if job.task is not None]
                drive_all(tasks, Stacked(self.max_stacked).train_all)
                for number, job in jobs.items():
                    if job.task is not None and taken(job.task.outcome):
                        elsewhere.leave(number, " ".join(job.result.overrides or []))
                    else:
                        returns[number] = job.ended()
                left = elsewhere.freed()
        conclude(returns)
        return returns


def others_idle(device: str) -> str:
    """For the log: that lock-step leaves all GPUs but the first idle, if there are several; otherwise empty."""
    gpus = gpus_in_turn(device)
    return f" on one of {gpus} GPUs; hydra/launcher=processes uses them all, with one run on each" if gpus > 1 else ""


class Job:
    """One job, started by Hydra as if it were alone. `task` is None if the start failed."""

    def __init__(self, launcher: LockstepLauncher, number: int, overrides: Sequence[str], progress: Any):
        from al_runner.engine.drive import Clock, Task  # noqa: PLC0415
        from al_runner.job.run import run_job as job  # noqa: PLC0415

        self.callbacks = launcher.hydra_context.callbacks
        self.task_function = launcher.task_function
        self.result = JobReturn()
        self.result.overrides = list(filter_overrides(overrides))
        self.task: Task[None] | None = None
        clock = Clock()
        try:
            self.config = launcher.hydra_context.config_loader.load_sweep_config(launcher.config, list(overrides))
            with open_dict(self.config):
                self.config.hydra.job.id = f"{self.config.hydra.job.name}_{number}"
                self.config.hydra.job.num = number
            # Hydra would call on_job_end before the job begins, so `alone` and `ended` call the callbacks.
            self.result = run_job(
                hydra_context=replace(launcher.hydra_context, callbacks=Callbacks()),
                task_function=lambda cfg: job(cfg, clock, progress, device_number=0),
                config=self.config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except Exception as error:
            self.result.status, self.result.return_value = JobStatus.FAILED, error
            return
        self.handlers = progress.handlers(logging.getLogger().handlers)
        self.begun = False
        self.task = Task(self.result.return_value, clock, self.alone)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """In the block, Hydra's globals, the log's handlers and the working folder are those of this job."""
        hydra, root = HydraConfig.instance(), logging.getLogger()
        before = hydra.cfg, root.handlers, os.getcwd()
        hydra.set_config(self.config)
        root.handlers = self.handlers
        os.chdir(self.result.working_dir or ".")
        try:
            with env_override(self.config.hydra.job.env_set):
                if not self.begun:
                    self.begun = True
                    self.callbacks.on_job_start(config=self.config, task_function=self.task_function)
                yield
        finally:
            hydra.cfg, root.handlers = before[:2]
            os.chdir(before[2])

    def ended(self) -> JobReturn:
        """What Hydra needs to know about the job; calls its callbacks."""
        if self.task is not None:
            outcome = self.task.outcome
            self.result.status = JobStatus.FAILED if isinstance(outcome, Exception) else JobStatus.COMPLETED
            self.result.return_value = outcome
            with self.alone():
                self.callbacks.on_job_end(config=self.config, job_return=self.result)
        return self.result
