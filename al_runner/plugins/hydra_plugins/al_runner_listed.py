"""hydra/sweeper=listed and =fed: another process names the runs, in a file or line by line."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus, run_job
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from al_runner.errors import UsageError
from al_runner.settings.explain import chain_of, explain
from al_runner.sweeps.begin import begin
from al_runner.sweeps.elsewhere import taken


class ListedSweeper(Sweeper):
    """Gives the runs of a JSON file to the launcher: [[override, ...], ...], or a list of such lists."""

    launcher: Launcher

    def __init__(self, file: str, part: int | None = None):
        self.file, self.part = Path(file), part

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """The file has the `arguments` that all runs share, too. Raises UsageError if the file can't be read."""
        try:
            jobs = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"hydra.sweeper.file={self.file} can't be read ({error}); give a JSON list") from error
        jobs = jobs if self.part is None else jobs[self.part]
        self.validate_batch_is_legal(jobs)
        return self.launcher.launch(jobs, 0)


class FedSweeper(Sweeper):
    """Reads runs from standard input, {"number": .., "overrides": [..]} on each line, and carries them out.

    The answer to each, on standard output, is {"error": .., "taken": .., "spent": ..}. `error` is null, or one line
    that says why the run failed; `taken` says that it did not begin, since another process has its folder; `spent` says
    that this process ends now, because it can't carry out another run. If the input ends during a run, the
    other process has gone. This process then stops at once, since the run may start again in another process.
    """

    hydra_context: HydraContext
    config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self._busy = False

    def sweep(self, arguments: list[str]) -> None:
        begin(self.config)
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # the output of runs goes to standard error, so standard output has answers only
        lines: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._listen, args=(sys.stdin, lines), daemon=True).start()
        while line := lines.get():
            self._busy, job = True, json.loads(line)
            failure = self._run(job["number"], job["overrides"])
            answer = {
                "error": failure and explain(failure),
                "taken": taken(failure),
                "spent": failure is not None and broke_the_gpu(failure),
            }
            print(json.dumps(answer), file=answers, flush=True)
            self._busy = False
            if answer["spent"]:
                return

    def _listen(self, source: TextIO, lines: "SimpleQueue[str]") -> None:
        for line in source:
            lines.put(line)
        if self._busy:
            os._exit(128 + signal.SIGTERM)
        lines.put("")

    def _run(self, number: int, overrides: Sequence[str]) -> BaseException | None:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = f"{config.hydra.job.name}_{number}", number
        done = run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return done._return_value if done.status is JobStatus.FAILED else None


def broke_the_gpu(error: BaseException) -> bool:
    """Whether a GPU reported an error, such as an illegal address. Then it refuses all further work of the process."""
    return any(str(link).startswith(("CUDA error", "HIP error")) for link in chain_of(error))
