"""Runs and sweeps from Python."""

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from hydra.core.hydra_config import HydraConfig

from al_runner.api.compose import composed, jobs_of, usage_errors, value_of, words_of
from al_runner.api.folder import RunFolder
from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError, Waiting
from al_runner.job.run import run_job
from al_runner.sweeps.progress import Lines
from al_runner.sweeps.worker import AL_RUN

Callback = Callable[[Mapping[str, Any]], object]


class LinesAndCallback(Lines):
    """Reports progress as lines of the log, and to a function."""

    def __init__(self, callback: Callback | None):
        self._callback = callback

    def measured(self, title: str, rounds: int, row: Mapping[str, Any]) -> None:
        super().measured(title, rounds, row)
        if self._callback is not None:
            self._callback(row)


def run(*words: str, callback: Callback | None = None, **options: object) -> RunFolder:
    """Run or resume `al-run WORDS` in this process. `options` are further words: seed=0 means "seed=0".

    `callback` gets the row of rounds.csv of every round that is measured during the call. With oracle=person the call
    returns when the run asks for labels (`waiting` is true); the same call continues the run. Raises UsageError, whose
    message is one line, if the user must correct something.
    """
    with usage_errors(), composed(words_of(words, options)) as cfg:
        folder = Path(HydraConfig.get().runtime.output_dir)
        with suppress(Waiting):
            drive(run_job(cfg, perf_counter, LinesAndCallback(callback), 0), Stacked().train_all)
        return RunFolder(folder)


def sweep(*words: str, **options: object) -> list[RunFolder]:
    """Run `al-run -m WORDS`, and return its runs, ordered by seed.

    Give several values of an option with commas between them ("seed=0,1") or as a list (seed=[0, 1]). The sweep runs in
    another process; its launcher decides how many jobs run at the same time. Raises UsageError if a job failed; the
    others are recorded, and the same call continues the sweep.
    """
    lists = {name: value for name, value in options.items() if isinstance(value, list | tuple | range)}
    spread = [f"{name}={','.join(map(value_of, value))}" for name, value in lists.items()]
    with usage_errors():
        single = {name: value for name, value in options.items() if name not in lists}
        given = words_of([*words, *spread], single, sweep=True)
        jobs = jobs_of(given)
    folders = []
    for job in jobs:
        with usage_errors(), composed(job):
            folders.append(Path(HydraConfig.get().runtime.output_dir))
    done = subprocess.run([*AL_RUN, "-m", *given], capture_output=True, text=True, check=False)
    if done.returncode:
        message = done.stderr.rpartition("al-run: ")[2].strip()
        raise UsageError(message or f"the sweep ended with exit code {done.returncode}")
    return [RunFolder(folder) for folder in folders]
