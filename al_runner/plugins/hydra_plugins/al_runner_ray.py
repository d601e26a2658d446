"""hydra/launcher=ray: a Ray task for every run, which carries out the run in a new process."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Means, NotNegative
from al_runner.sweeps.begin import RETRIES, announce, begin, conclude, outcome, part_command, part_environment
from al_runner.sweeps.worker import Lost, carry_out

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks at the tasks


class RayLauncher(Launcher):
    """Runs all jobs to their end. Then it raises one error that names the failed jobs."""

    @options("hydra.launcher")
    def __init__(
        self,
        address: Annotated[
            str | None,
            Means("a cluster: auto, ray://head:10001, or another address; null: RAY_ADDRESS, else only this machine"),
        ],
        cpus: Annotated[NotNegative, Means("CPUs of a run")],
        gpus: Annotated[NotNegative, Means("GPUs of a run; with a fraction, several runs share one")],
        retries: Annotated[CountOrZero, Means(RETRIES)],
        init: Annotated[Mapping[str, Any], Means("further arguments of ray.init, as {include_dashboard: false}")],
    ):
        super().__init__()
        self.address, self.cpus, self.gpus, self.retries, self.init = address, cpus, gpus, retries, init

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        try:
            import ray  # noqa: PLC0415 - takes seconds, and is optional
        except ImportError:
            raise UsageError("hydra/launcher=ray needs Ray; pip install 'al-runner[ray]'") from None
        from al_runner.sweeps.watch import drawing  # noqa: PLC0415 - rich, which al-run --help need not wait for

        begin(self.config)
        folders = announce(self.hydra_context, self.config, job_overrides)
        with drawing(Path(str(self.config.hydra.sweep.dir)), folders) as draw:
            returns = self._carry_out(ray, job_overrides, initial_job_idx, draw)
        conclude(returns)
        return returns

    def _carry_out(
        self, ray: Any, job_overrides: Sequence[Sequence[str]], first: int, draw: Callable[[], None] | None
    ) -> list[JobReturn]:
        """Do all jobs as Ray tasks, and call `draw` again and again until they have ended, if there is one."""
        command = part_command(self.config.hydra, job_overrides, "hydra/sweeper=fed")
        environment = part_environment(self.config.hydra)
        quiet = {"log_to_driver": False} if draw else {}  # the table shows what the runs would say
        ours = not ray.is_initialized()
        ray.init(address=self.address, ignore_reinit_error=True, **{**quiet, **self.init})
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=self.retries, retry_exceptions=[Lost])(
            carry_out
        )
        log.info("%d jobs on Ray (%s)", len(job_overrides), self.address or "this machine, or RAY_ADDRESS")
        if not self.gpus and self.config.device != "cpu" and ray.cluster_resources().get("GPU"):
            log.warning("Ray has GPUs, and these runs use none; hydra.launcher.gpus=1 gives one to each run")
        try:
            answers = left = [
                task.remote(command, environment, str(Path.cwd()), first + number, [*overrides])
                for number, overrides in enumerate(job_overrides)
            ]
            while left:
                _, left = ray.wait(left, num_returns=len(left), timeout=LOOK)
                if draw is not None:
                    draw()
            return [result(ray, answer, overrides) for answer, overrides in zip(answers, job_overrides, strict=True)]
        finally:
            if ours:
                ray.shutdown()


def result(ray: Any, answer: Any, overrides: Sequence[str]) -> JobReturn:
    """How a run ended, from the answer of its Ray task."""
    try:
        return outcome(overrides, ray.get(answer))
    except ray.exceptions.RayError as lost:
        return outcome(overrides, " ".join(str(lost).split()[-40:]))
