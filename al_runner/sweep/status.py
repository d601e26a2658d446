"""The command al-status: what every run under a folder is doing, and running again those that failed."""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from al_runner.analysis.table.runs import read_run
from al_runner.errors import UsageError
from al_runner.record.state import ASKING, DONE, FAILED, RUNNING, STOPPED, WAITING, State, read
from al_runner.sweep.worker import AL_RUN
from al_runner.system.console import command

COLOURS = {RUNNING: "cyan", DONE: "green", FAILED: "red", STOPPED: "yellow", WAITING: "", ASKING: "magenta"}
UNREADABLE = State(FAILED, (), "", error="state.json can't be read; the run's own command writes it anew")
LAST = 5  # rounds whose time the rest is reckoned from


@dataclass(frozen=True)
class Run:
    """A run as its folder shows it."""

    folder: Path
    state: State
    rounds: int  # that are recorded
    labelled: int
    test_error: float | None
    seconds_left: float | None


@command("al-status")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-status's command line; 2 and one line on stderr where something is the user's to mend, else 0."""
    options = _parser().parse_args(argv)
    runs = runs_under(options.directory)
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 200)
    console.print(table(runs, options.directory))
    for run in runs:
        if run.state.error:
            console.print(message(run, options.directory))
    if not options.retry_failed:
        return 0
    return retry([run.state for run in runs if run.state.state in (FAILED, STOPPED) and run.state.cwd])


def runs_under(directory: Path) -> list[Run]:
    """Every run below `directory` that has a state.json, by folder; UsageError where there is none."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory; give one that al-run wrote into, such as outputs")
    folders = sorted(file.parent for file in directory.rglob("state.json"))
    found = [(folder, read(folder) or UNREADABLE) for folder in folders]
    if not found:
        raise UsageError(f"{directory} holds no run with a state.json; al-run makes one (e.g. al-run strategy=random)")
    return [run_in(folder, state, directory) for folder, state in found]


def run_in(folder: Path, state: State, root: Path) -> Run:
    """What a run's rows add to its state; a damaged file counts as no rows, with its error shown."""
    try:
        rows = read_run(folder, root) if (folder / "rounds.csv").exists() else []
    except UsageError as error:
        return Run(folder, State(FAILED, state.overrides, state.cwd, state.rounds, str(error)), 0, 0, None, None)
    if not rows:
        return Run(folder, state, 0, 0, None, None)
    recent = [row["fit_seconds"] + max(0.0, row["select_seconds"]) for row in rows[-LAST:]]
    left = None
    if state.state != DONE and state.rounds:
        left = (state.rounds - len(rows)) * sum(recent) / len(recent)
    return Run(folder, state, len(rows), int(rows[-1]["labelled"]), float(rows[-1]["test_error"]), left)


def table(runs: Sequence[Run], root: Path) -> Table:
    """A line a run; rounds are counted from 0, as in the log."""
    counts = Counter(run.state.state for run in runs)
    caption = ", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state])
    shown = Table(box=SIMPLE_HEAD, caption=caption, caption_justify="left")
    for name, justify in (("run", "left"), ("state", "left"), ("round", "right"), ("labelled", "right")):
        shown.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for name in ("test error %", "time left"):
        shown.add_column(name, justify="right")
    for run in runs:
        state, colour = run.state.state, COLOURS[run.state.state]
        shown.add_row(
            escape(printable(str(run.folder.relative_to(root)))),
            f"[{colour}]{state}[/{colour}]" if colour else state,
            f"{run.rounds - 1 if run.rounds else '-'}/{run.state.rounds - 1 if run.state.rounds else '?'}",
            f"{run.labelled or ''}",
            "" if run.test_error is None else f"{100 * run.test_error:.2f}",
            "" if run.seconds_left is None else f"about {run.seconds_left / 60:.0f} min",
        )
    return shown


def message(run: Run, root: Path) -> Text:
    """Which run failed, and why: below the table, since a long reason would leave its columns no room."""
    return Text.assemble((printable(str(run.folder.relative_to(root))), "red"), f": {printable(run.state.error)}")


def printable(text: str) -> str:
    """The text without characters that would steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def retry(states: Sequence[State]) -> int:
    """Run them again from where their commands were given, those of one sweep as a sweep; 1 where one failed again."""
    groups: dict[tuple[str, tuple[str, ...]], list[list[str]]] = {}
    for state in states:
        groups.setdefault((state.cwd, state.launch), []).append([*state.overrides])
    codes = []
    for (cwd, launch), runs in groups.items():
        if launch[:1] == ("-m",):
            codes.append(_sweep(launch, runs, cwd))
        else:
            codes += [_al_run([*launch, *overrides], cwd) for overrides in runs]
    return int(any(codes))


def _sweep(launch: Sequence[str], runs: Sequence[Sequence[str]], cwd: str) -> int:
    with TemporaryDirectory() as folder:
        file = Path(folder, "jobs.json")
        file.write_text(json.dumps(runs))
        common = [word for word in runs[0] if all(word in run for run in runs)]
        return _al_run([*launch, "hydra/sweeper=listed", f"hydra.sweeper.file={file}", *common], cwd)


def _al_run(words: Sequence[str], cwd: str) -> int:
    return subprocess.run([*AL_RUN, *words], cwd=cwd, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="al-status", description="What every run under a folder is doing.")
    parser.add_argument("directory", metavar="DIR", type=Path, help="holds run folders at any depth, such as outputs")
    parser.add_argument("--retry-failed", action="store_true", help="run again what failed or was stopped")
    return parser


if __name__ == "__main__":
    sys.exit(main())
