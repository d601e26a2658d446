"""Runs and sweeps from Python."""

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from al_runner.api.compose import composed, usage_errors, words_of
from al_runner.api.folder import RunFolder
from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError, Waiting
from al_runner.job.run import run_job
from al_runner.sweeps.progress import Lines
from al_runner.sweeps.worker import AL_RUN

Told = Callable[[Mapping[str, Any]], object]


class Telling(Lines):
    """Progress told to a function as well."""

    def __init__(self, callback: Told | None):
        self._callback = callback

    def measured(self, label: str, rounds: int, row: Mapping[str, Any]) -> None:
        super().measured(label, rounds, row)
        if self._callback is not None:
            self._callback(row)


def run(*words: str, callback: Told | None = None, **options: object) -> RunFolder:
    """Run or resume `al-run WORDS` in this process, with `options` as further words: seed=0 is "seed=0".

    `callback` is told the row of rounds.csv of every round that is measured now. With oracle=person the run comes back
    when labels are asked for (`waiting`); the same call goes on. UsageError says in one line what is to be mended.
    """
    with usage_errors(), composed(words_of(words, options)) as cfg:
        folder = Path(HydraConfig.get().runtime.output_dir)
        with suppress(Waiting):
            drive(run_job(cfg, perf_counter, Telling(callback), 0), Stacked().train_all)
        return RunFolder(folder)


def sweep(*words: str, **options: object) -> list[RunFolder]:
    """Run `al-run -m WORDS`, several values of an option with commas between, and give its runs, by seed.

    The runs are processes of their own, side by side where the launcher says so. UsageError where one failed; the
    others are recorded, and the same call goes on.
    """
    lists = {name: value for name, value in options.items() if isinstance(value, list | tuple)}
    spread = [f"{name}={','.join(map(str, value))}" for name, value in lists.items()]
    from hydra_plugins.al_runner_seeds import SeedsOutermost  # noqa: PLC0415 - found once al_runner.plugins is loaded

    with usage_errors():
        given = words_of([*words, *spread], {name: value for name, value in options.items() if name not in lists})
        overrides = OverridesParser.create().parse_overrides(given)
        (jobs,) = SeedsOutermost.split_arguments(overrides, None)
    folders = []
    for job in jobs:
        with usage_errors(), composed(job):
            folders.append(Path(HydraConfig.get().runtime.output_dir))
    done = subprocess.run([*AL_RUN, "-m", *given], capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.rpartition("al-run: ")[2].strip()
        raise UsageError(told or f"the sweep ended with exit code {done.returncode}")
    return [RunFolder(folder) for folder in folders]
