"""The command al-status: what every run under a folder is doing, and running again those that failed."""

import argparse
import json
import os
import shlex
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

from al_runner.analysis.table.rows import read_rounds
from al_runner.errors import UsageError
from al_runner.record.state import ASKING, DONE, FAILED, NAME, RUNNING, STOPPED, WAITING, State, sound
from al_runner.sweep.progress import seconds_left
from al_runner.sweep.worker import AL_RUN
from al_runner.system.console import command, plain, say
from al_runner.system.foreign import folders_with

COLOURS = {RUNNING: "cyan", DONE: "green", FAILED: "red", STOPPED: "yellow", WAITING: "", ASKING: "magenta"}
CONFIG_DIR = "--config-dir="  # as `launch_of` writes it


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
    again = [run for run in runs if run.state.state in (FAILED, STOPPED) and run.state.cwd]
    require_own(again, options.directory)
    return retry([run.state for run in again])


def runs_under(directory: Path) -> list[Run]:
    """Every run below `directory` that has a state.json, by folder; UsageError where there is none."""
    folders = folders_with(directory, [NAME])
    if not folders:
        raise UsageError(f"{directory} holds no run with a state.json; al-run makes one (e.g. al-run strategy=random)")
    return [run_in(folder, state_of(folder)) for folder in folders]


def state_of(folder: Path) -> State:
    """A run's state; that of a failed run without a command where it is damaged, with its error."""
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
        return Run(
            folder, State(FAILED, state.overrides, state.cwd, state.rounds, _beside(folder, error)), 0, 0, None, None
        )
    if not rows:
        return Run(folder, state, 0, 0, None, None)
    left = seconds_left(rows, state.rounds) if state.state != DONE and state.rounds else None
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
            escape(one_line(str(run.folder.relative_to(root)))),
            f"[{colour}]{state}[/{colour}]" if colour else state,
            f"{run.rounds - 1 if run.rounds else '-'}/{run.state.rounds - 1 if run.state.rounds else '?'}",
            f"{run.labelled or ''}",
            "" if run.test_error is None else f"{100 * run.test_error:.2f}",
            "" if run.seconds_left is None else f"about {run.seconds_left / 60:.0f} min",
        )
    return shown


def message(run: Run, root: Path) -> Text:
    """Which run failed, and why: below the table, since a long reason would leave its columns no room."""
    return Text.assemble((one_line(str(run.folder.relative_to(root))), "red"), f": {one_line(run.state.error)}")


def one_line(text: str) -> str:
    """The text without line breaks and without characters that would steer the terminal."""
    return plain(text).replace("\n", " ")


def require_own(runs: Sequence[Run], directory: Path) -> None:
    """UsageError unless these runs may be run again: a command that a folder names is only as good as the folder.

    al-run looks for modules where it is started and beside the YAML of --config-dir, so both must lie outside of
    `directory`, and who wrote a state must be who runs it.
    """
    for run in runs:
        file = run.folder / NAME
        if hasattr(os, "getuid") and file.lstat().st_uid != os.getuid():
            raise UsageError(f"{file} is another user's; start that run with al-run itself, if you want it")
        configs = config_places(file, [*run.state.launch, *run.state.overrides])
        places = [run.state.cwd, *(os.path.join(run.state.cwd, held) for held in configs)]
        inside = next((held for held in places if Path(held).resolve().is_relative_to(directory.resolve())), None)
        if inside is not None:
            raise UsageError(
                f"{file} would have al-run look for modules in {inside}, inside {directory}, where a stranger's may "
                "lie; give the folder of results alone, such as outputs, or start the run with al-run itself"
            )


def config_places(file: Path, words: Sequence[str]) -> list[str]:
    """The folders that a command line takes configurations from; UsageError for an option that al-run never notes."""
    options = [word for word in words if word.startswith("-") and word != "-m"]
    strange = next((word for word in options if not word.startswith(CONFIG_DIR)), None)
    if strange is not None:
        raise UsageError(f"{file} has the option {strange}, which al-run never writes there; start the run by hand")
    return [word.removeprefix(CONFIG_DIR) for word in options]


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
    say(f"in {cwd}: {shlex.join(['al-run', *words])}")
    sys.stdout.flush()
    return subprocess.run([*AL_RUN, *words], cwd=cwd, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="al-status", description="What every run under a folder is doing.")
    parser.add_argument("directory", metavar="DIR", type=Path, help="holds run folders at any depth, such as outputs")
    parser.add_argument("--retry-failed", action="store_true", help="run again what failed or was stopped")
    return parser


if __name__ == "__main__":
    sys.exit(main())
