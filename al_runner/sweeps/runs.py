"""The runs below a folder, as al-status shows them: read from their files alone."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from al_runner.analysis.table.rows import read_rounds
from al_runner.errors import UsageError
from al_runner.record.state import DONE, FAILED, NAME, RUNNING, WAITING, State, sound
from al_runner.sweeps.progress import round_seconds, seconds_left
from al_runner.system.foreign import folders_with


@dataclass(frozen=True)
class Run:
    """A run as its folder shows it."""

    folder: Path
    state: State
    labelled: int = 0
    errors: tuple[float, ...] = ()  # test errors of the rounds that are recorded
    seconds: float = 0.0  # that these rounds took
    seconds_left: float | None = None  # None if it is done, or if nothing is known

    @property
    def rounds(self) -> int:
        """How many rounds are recorded."""
        return len(self.errors)

    @property
    def test_error(self) -> float | None:
        """The newest error, None before the first."""
        return self.errors[-1] if self.errors else None


def runs_under(directory: Path) -> list[Run]:
    """Every run below `directory` that has a state.json, by folder. Raises UsageError if there is none."""
    folders = folders_with(directory, [NAME])
    if not folders:
        raise UsageError(f"{directory} holds no run with a state.json; al-run makes one (e.g. al-run strategy=random)")
    return runs_in(folders)


def runs_in(folders: Sequence[Path]) -> list[Run]:
    """The runs of these folders.

    Runs that share a process in lock-step share its time, so each of them takes as many times longer.
    """
    runs = [run_in(folder, state_of(folder)) for folder in folders]
    sharing = Counter(process_of(run) for run in runs if run.state.state == RUNNING)
    return [
        replace(run, seconds_left=run.seconds_left * max(1, sharing[process_of(run)]))
        if run.seconds_left is not None and run.state.state == RUNNING
        else run
        for run in runs
    ]


def process_of(run: Run) -> tuple[str, int]:
    """The machine and the number of the process that carries a run out."""
    return run.state.host, run.state.pid


def state_of(folder: Path) -> State:
    """A run's state. If it is damaged: that of a failed run without a command, with its error."""
    try:
        return sound(folder)
    except (OSError, UsageError) as error:
        return State(FAILED, (), "", error=_beside(folder, error))


def _beside(folder: Path, error: Exception) -> str:
    """A line that names a file of the run whose folder is shown above it."""
    return str(error).replace(f"{folder}{os.sep}", "")


def run_in(folder: Path, state: State) -> Run:
    """What a run's rows add to its state; a damaged file counts as no rows, with its error shown."""
    try:
        rows = read_rounds(folder)
    except UsageError as error:
        return Run(folder, State(FAILED, state.overrides, state.cwd, state.rounds, _beside(folder, error)))
    if not rows:
        return Run(folder, state)
    left = seconds_left(rows, state.rounds) if state.state != DONE and state.rounds else None
    errors = tuple(float(row["test_error"]) for row in rows)
    return Run(folder, state, int(rows[-1]["labelled"]), errors, sum(map(round_seconds, rows)), left)


def whole_left(runs: Sequence[Run]) -> float | None:
    """Seconds until all runs that are under way or wait are done; None if none of them has a round yet.

    A run without a round takes as long as the others do on average. Runs of several processes go on side by side.
    """
    open_runs = [run for run in runs if run.state.state in (RUNNING, WAITING)]
    known = [run.seconds + (_own_left(run, runs) or 0.0) for run in runs if run.rounds]
    if not open_runs or not known:
        return None
    typical = sum(known) / len(known)
    left = [typical if (own := _own_left(run, runs)) is None else own for run in open_runs]
    processes = {process_of(run) for run in open_runs if run.state.state == RUNNING}
    return max(sum(left) / max(1, len(processes)), *left)


def _own_left(run: Run, runs: Sequence[Run]) -> float | None:
    """A run's seconds without those of runs that share its process."""
    if run.seconds_left is None or run.state.state != RUNNING:
        return run.seconds_left
    return run.seconds_left / sum(process_of(o) == process_of(run) for o in runs if o.state.state == RUNNING)
