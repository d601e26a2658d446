"""`al-status --watch`: what every run under a folder is doing, again and again, until nothing runs any more."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from al_runner.record.state import FAILED, LAUNCH, RUNNING, STOPPED, WAITING
from al_runner.sweeps.progress import duration, sparkline
from al_runner.sweeps.runs import Run, runs_in, runs_under, whole_left
from al_runner.sweeps.words import COLOURS, LEAST, counts_of, name_of, one_line, place_of, round_of, shared_folder
from al_runner.system.console import say
from al_runner.system.signals import Stopped, listening

SECONDS = 3.0  # between two looks
BAR = 16  # columns of a progress bar
AROUND = 7  # lines of the screen that are not runs
ORDER = (RUNNING, FAILED, STOPPED, WAITING)  # the states to show first if a screen has too few lines for all


def watch(directory: Path, seconds: float = SECONDS) -> int:
    """Show the runs until none runs or waits. Returns 0, or 128 + the signal's number if a signal ended it.

    On a terminal a table is drawn over itself; elsewhere a line is printed for every change. Nothing is written, and no
    thread or process is started. Raises UsageError if `directory` holds no run.
    """
    try:
        with listening():
            if sys.stdout.isatty():
                screen = Console(file=sys.stdout)
                with Live(console=screen, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
                    _look(directory, seconds, Drawing(directory, live))
            else:
                _look(directory, seconds, Changes(directory))
    except Stopped as stop:
        return 128 + stop.signum
    return 0


def _look(directory: Path, seconds: float, show: Callable[[Sequence[Run]], None]) -> None:
    while True:
        runs = runs_under(directory)
        show(runs)
        if not any(run.state.state in (RUNNING, WAITING) for run in runs):
            return
        time.sleep(seconds)


class Drawing:
    """Draws the runs over their last drawing."""

    def __init__(self, root: Path, live: Live):
        self._root, self._live = root, live

    def __call__(self, runs: Sequence[Run]) -> None:
        self._live.update(view(runs, self._root, self._live.console.height), refresh=True)


class Changes:
    """Prints a line for every run whose state or rounds are not those of the last look."""

    def __init__(self, root: Path):
        self._root = root
        self._seen: dict[Path, tuple[str, int]] = {}

    def __call__(self, runs: Sequence[Run]) -> None:
        changed = [run for run in runs if self._seen.get(run.folder) != (run.state.state, run.rounds)]
        self._seen |= {run.folder: (run.state.state, run.rounds) for run in changed}
        for run in changed:
            say(" | ".join(filter(None, plain_cells(run, self._root))))
        if changed:
            say(total_of(runs))
        sys.stdout.flush()


@contextmanager
def drawing(root: Path, folders: Sequence[Path | None]) -> Iterator[Callable[[], None] | None]:
    """A live table of a sweep's runs on a terminal. It yields a function that draws it again, at most every second.

    `folders` are those of the jobs, None for a job that has none. It yields None if standard output is no terminal, or
    if another process draws the sweep.
    """
    if LAUNCH in os.environ or not sys.stdout.isatty():
        yield None
        return
    from al_runner.sweeps.live import log_above  # noqa: PLC0415 - only here, as al-status has no log

    with log_above(Live(console=Console(file=sys.stdout), auto_refresh=False)) as live:
        draw, drawn, held = Drawing(root, live), 0.0, [folder for folder in folders if folder]

        def look() -> None:
            nonlocal drawn
            if time.monotonic() - drawn > 1:
                draw(runs_in(held))
                drawn = time.monotonic()

        yield look
        draw(runs_in(held))


def plain_cells(run: Run, root: Path) -> list[str]:
    """A run's name, state, round, newest error, time left, and why it failed; empty texts for what is not known."""
    return [
        name_of(run, root),
        run.state.words,
        f"round {round_of(run)}" if run.rounds else "",
        "" if run.test_error is None else f"{100 * run.test_error:.2f} % error",
        "" if run.seconds_left is None else f"about {duration(run.seconds_left)} left",
        one_line(run.state.error),
    ]


def rounds_done(runs: Sequence[Run]) -> tuple[int, int]:
    """How many rounds are done, and how many are planned."""
    return sum(run.rounds for run in runs), sum(max(run.state.rounds, run.rounds) for run in runs)


def total_of(runs: Sequence[Run]) -> str:
    """How many runs are in which state, how many rounds are done, and the time left for all."""
    done, planned = rounds_done(runs)
    left = whole_left(runs)
    open_end = "+" if any(run.state.state == WAITING and not run.state.rounds for run in runs) else ""
    rounds = f"{done} of {planned}{open_end} rounds"
    return ", ".join([counts_of(runs), rounds, *([] if left is None else [f"about {duration(left)} left for all"])])


def view(runs: Sequence[Run], root: Path, height: int) -> RenderableType:
    """The table of the runs, at most as many as a screen of `height` lines holds, and a line for all of them."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("run")  # no other column gives up room
    for name in ("state", "", "round", "error %"):
        table.add_column(name, justify="right" if name in ("round", "error %") else "left", no_wrap=True)
    table.add_column("so far", no_wrap=True)
    table.add_column("time left", justify="right", no_wrap=True)
    failed = [run for run in runs if run.state.error]
    shared = shared_folder(runs, root)
    place = [] if shared == root else [place_of(shared)]
    room = max(3, height - AROUND - min(2, len(failed)) - len(place))
    shown = [*runs] if len(runs) <= room else sorted(runs, key=_urgency)[:room]
    for run in shown:
        table.add_row(*_row(run, shared))
    done, planned = rounds_done(runs)
    hidden = f" ({len(runs) - len(shown)} more runs have no room here)" if len(shown) < len(runs) else ""
    whole = Table.grid(padding=(0, 2))
    bar = ProgressBar(max(1, planned), done, 2 * BAR, complete_style="cyan")
    whole.add_row(bar, f"{escape(total_of(runs))}{hidden}")
    reasons = [
        Text(f"{name_of(run, root)}: {one_line(run.state.error)}", "red", no_wrap=True, overflow="ellipsis")
        for run in failed[:2]
    ]
    return Group(*place, table, whole, *reasons)


class Tail:
    """A text whose beginning is cut off if it has too little room: the end of a run's name is strategy and seed."""

    def __init__(self, text: str):
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        whole = cell_len(self._text) <= options.max_width
        shown = self._text if whole else f"…{self._text[len(self._text) - options.max_width + 1 :]}"
        yield Text(shown, no_wrap=True, overflow="crop")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = cell_len(self._text)
        return Measurement(min(LEAST, longest), longest)


def _urgency(run: Run) -> int:
    state = run.state.state
    return ORDER.index(state) if state in ORDER else len(ORDER)


def _row(run: Run, root: Path) -> list[RenderableType]:
    state, colour = run.state.state, COLOURS[run.state.state]
    return [
        Tail(name_of(run, root)),
        Text(state, colour),
        ProgressBar(max(1, run.state.rounds), run.rounds, BAR, complete_style="cyan"),
        round_of(run),
        "" if run.test_error is None else f"{100 * run.test_error:.2f}",
        Text(sparkline(run.errors, BAR), "cyan"),
        "" if run.seconds_left is None else duration(run.seconds_left),
    ]
