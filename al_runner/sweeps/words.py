"""Words and colours of al-status, the same in its table and in what --watch shows."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from al_runner.record.state import ASKING, DONE, FAILED, RUNNING, STOPPED, WAITING
from al_runner.sweeps.runs import Run
from al_runner.system.console import plain

COLOURS = {RUNNING: "cyan", DONE: "green", FAILED: "red", STOPPED: "yellow", WAITING: "", ASKING: "magenta"}


def counts_of(runs: Sequence[Run]) -> str:
    """How many runs are in which state, as `2 running, 1 failed`."""
    counts = Counter(run.state.state for run in runs)
    return ", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state])


def one_line(text: str) -> str:
    """The text without line breaks and without characters that would steer the terminal."""
    return plain(text).replace("\n", " ")


def name_of(run: Run, root: Path) -> str:
    """Its folder below `root`."""
    return one_line(str(run.folder.relative_to(root)))


def round_of(run: Run) -> str:
    """The newest round and the last one, counted from 0 as in the log."""
    return f"{run.rounds - 1 if run.rounds else '-'}/{run.state.rounds - 1 if run.state.rounds else '?'}"
