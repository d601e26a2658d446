"""Words and colours of al-status, the same in its table and in what --watch shows."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from al_runner.record.state import ASKING, DONE, FAILED, RUNNING, STOPPED, WAITING
from al_runner.sweeps.runs import Run
from al_runner.system.console import plain

LEAST = 12  # columns that the name of a run keeps
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


def place_of(shared: Path) -> Text:
    """The folder in which all runs lie, as the line above the table."""
    return Text(f"runs in {one_line(str(shared))}", no_wrap=True, overflow="ellipsis")


def shared_folder(runs: Sequence[Run], root: Path) -> Path:
    """The deepest folder in which all runs lie, if that leaves each at least its strategy and seed; if not, `root`."""
    cases = {run.folder.parent.parent for run in runs}
    folder = Path(os.path.commonpath(cases)) if cases else root
    return folder if folder.is_relative_to(root) else root
