"""hydra/launcher=slurm: a sweep as an array job, which goes on by itself until all its runs are done."""

import json
import logging
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from annotated_types import Ge
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from al_runner.errors import UsageError
from al_runner.record.leftovers import clear
from al_runner.record.state import DONE, LAUNCH, RUNNING, WAITING, State, read, write
from al_runner.settings.command_line import quoted
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, CountOrZero, Few, Means, Positive
from al_runner.sweeps import batch
from al_runner.sweeps.begin import (
    back_to,
    begin,
    conclude,
    ended,
    folder_of,
    launch_of,
    note_waiting,
    part_command,
    part_environment,
    require_apart,
)

log = logging.getLogger(__name__)

LARGEST = 1000  # jobs of one array: Slurm's MaxArraySize is 1001 unless a cluster changes it
POLL = 5  # seconds between two looks at the runs


class SlurmLauncher(Launcher):
    """Submits the runs that are neither done nor in the queue yet. By default it does not wait for them."""

    @options("hydra.launcher")
    def __init__(
        self,
        partition: Annotated[str | None, Means("the partition of the jobs; null: the cluster's default")],
        account: Annotated[str | None, Means("the account that the jobs are charged to; null: the cluster's default")],
        gpus: Annotated[CountOrZero, Means("GPUs of a job")],
        cpus: Annotated[Few, Means("CPU cores of a job")],
        memory_gb: Annotated[Positive | None, Means("memory of a job, gigabytes; null: the cluster's default")],
        minutes: Annotated[Count, Means("time limit of a job; a longer run is queued again until it is done")],
        signal_seconds: Annotated[
            Annotated[int, Ge(4)],
            Means("seconds before that limit when a job gets a signal; it then has half of them to finish its rounds"),
        ],
        runs_per_job: Annotated[
            Count, Means("runs in one job; several are in lock-step on its GPU, or in processes on its CPU cores")
        ],
        parallel: Annotated[
            Count | None, Means("jobs that may run at the same time; null: as many as the cluster allows")
        ],
        options: Annotated[Sequence[str], Means("further options of sbatch, as [--constraint=a100,--qos=long]")],
        setup: Annotated[Sequence[str], Means("shell lines before the runs, as [module load cuda]")],
        wait: Annotated[bool, Means("wait until all runs have ended, and say which failed")],
    ):
        super().__init__()
        if not signal_seconds < 60 * minutes:
            raise UsageError(
                f"hydra.launcher.signal_seconds is {signal_seconds}; it must be less than {60 * minutes}, "
                f"the seconds of hydra.launcher.minutes={minutes}"
            )
        self.resources = [
            ("partition", partition),
            ("account", account),
            ("gres", f"gpu:{gpus}" if gpus else None),
            ("cpus-per-task", cpus),
            ("mem", f"{round(1024 * memory_gb)}M" if memory_gb else None),
            ("time", minutes),
            ("signal", f"B:USR1@{signal_seconds}"),
        ]
        self.cpus, self.seconds, self.runs_per_job, self.parallel = cpus, signal_seconds, runs_per_job, parallel
        self.options, self.lines, self.wait = options, setup, wait

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        batch.require_slurm()  # before the sweep writes anything
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        root = begin(self.config)
        with back_to(self.config):
            folders = [folder_of(self.hydra_context, self.config, overrides) for overrides in job_overrides]
        require_apart(folders, job_overrides)
        missing = [
            number
            for number, overrides in enumerate(job_overrides)
            if not (under_way(folders[number]) or done_already(folders[number], overrides))
        ]
        left = len(job_overrides) - len(missing)
        if left:
            log.info("%d of %d runs are done or in the queue already", left, len(job_overrides))
        parts = [missing[start : start + self.runs_per_job] for start in range(0, len(missing), self.runs_per_job)]
        for start in range(0, len(parts), LARGEST):
            self._submit(job_overrides, folders, parts[start : start + LARGEST])
        if not self.wait:
            log.info("al-status %s shows how the runs are doing", root)
            return [JobReturn(overrides=[*overrides], status=JobStatus.COMPLETED) for overrides in job_overrides]
        while any(map(under_way, folders)):
            time.sleep(POLL)
        returns = [ended(folder, overrides) for folder, overrides in zip(folders, job_overrides, strict=True)]
        conclude(returns)
        return returns

    def _submit(
        self, job_overrides: Sequence[Sequence[str]], folders: Sequence[Path], parts: Sequence[Sequence[int]]
    ) -> None:
        """Submit one array job. Each of `parts` is one job of it, and holds positions in `job_overrides`."""
        name = f"al-run-{uuid4().hex[:8]}"
        home = Path(str(self.config.hydra.sweep.dir)).absolute() / ".slurm" / name
        home.mkdir(parents=True)
        jobs = [[[*job_overrides[number]] for number in part] for part in parts]
        (home / "jobs.json").write_text(json.dumps(jobs, indent=1) + "\n")
        script = home / "job.sh"
        script.write_text(self._script(home, name, len(parts), [job for part in jobs for job in part]))
        launch = launch_of(self.config.hydra)
        before = {folders[number]: read(folders[number]) for part in parts for number in part}
        for place, part in enumerate(parts):
            for number in part:
                note_waiting(folders[number], job_overrides[number], launch, f"{home}/{place}")
        try:
            array = batch.submit(script)
        except UsageError:
            self._forget(home, before)
            raise
        runs = sum(map(len, parts))
        log.info("%d runs in %d jobs: Slurm's array job %s, named %s", runs, len(parts), array, name)

    def _forget(self, home: Path, before: Mapping[Path, State | None]) -> None:
        """Remove the files of an array job that Slurm refused, and give the runs' folders their earlier states back."""
        shutil.rmtree(home)
        with suppress(OSError):  # the folder may hold the scripts of other array jobs
            home.parent.rmdir()
        for folder, state in before.items():
            if state is None:
                clear(folder, Path(str(self.config.hydra.sweep.dir)).absolute())
            else:
                write(folder, state)

    def _script(self, home: Path, name: str, parts: int, jobs: Sequence[Sequence[str]]) -> str:
        """The batch script. A part with several runs trains them as `auto` does, on the GPU or the cores of its job."""
        workers = max(1, self.cpus // int(self.config.threads))
        words = [
            "hydra/sweeper=listed",
            f"hydra.sweeper.file={quoted(home / 'jobs.json')}",
            "hydra/launcher=" + ("lockstep" if self.runs_per_job == 1 or workers == 1 else "auto"),
            *([f"hydra.launcher.cpu.n_jobs={workers}"] if self.runs_per_job > 1 and workers > 1 else []),
        ]
        command = shlex.join(part_command(self.config.hydra, jobs, *words))
        directives = batch.options(
            [
                ("job-name", name),
                ("array", f"0-{parts - 1}" + (f"%{self.parallel}" if self.parallel else "")),
                ("output", f"{home}/".replace("%", "%%") + "%a.log"),
                ("open-mode", "append"),
                ("chdir", Path.cwd()),
                *self.resources,
            ]
        )
        directives += ["#SBATCH --requeue", *(f"#SBATCH {option}" for option in self.options)]
        launched = f"export {LAUNCH}={shlex.quote(part_environment(self.config.hydra)[LAUNCH])}"
        return batch.script(
            directives,
            [launched, *self.lines],
            f'{command} "hydra.sweeper.part=$SLURM_ARRAY_TASK_ID"',
            shlex.quote(str(home)),
            self.seconds,
        )


def under_way(folder: Path) -> bool:
    """Whether a run is running or waits in a queue."""
    state = read(folder)
    return state is not None and state.state in (RUNNING, WAITING)


def done_already(folder: Path, overrides: Sequence[str]) -> bool:
    """Whether the run is done with the same overrides. If they differ, the run itself will refuse them."""
    state = read(folder)
    return state is not None and state.state == DONE and [*state.overrides] == [*filter_overrides(overrides)]
