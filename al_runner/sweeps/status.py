"""The command al-status: what every run under a folder is doing, and running again those that failed."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from al_runner.errors import UsageError
from al_runner.record.state import FAILED, NAME, STOPPED, State
from al_runner.sweeps.runs import Run, runs_under
from al_runner.sweeps.watch import watch
from al_runner.sweeps.words import COLOURS, LEAST, counts_of, name_of, one_line, place_of, round_of, shared_folder
from al_runner.sweeps.worker import AL_RUN
from al_runner.system.console import command, parsed, say

CONFIG_DIR = "--config-dir="  # as `launch_of` writes it


@command("al-status")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-status's command line. Returns 2, with a line on stderr, for a UsageError.

    With --watch it returns 130 if Ctrl-C ended it; with --retry-failed, 1 if a run failed again.
    """
    options = parsed(_parser(), argv)
    if options.watch:
        return watch(options.directory)
    runs = runs_under(options.directory)
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 200)
    shared = shared_folder(runs, options.directory)
    if shared != options.directory:
        console.print(place_of(shared))
    console.print(table(runs, shared))
    for run in runs:
        if run.state.error:
            console.print(message(run, shared))
    if not options.retry_failed:
        return 0
    again = [run for run in runs if run.state.state in (FAILED, STOPPED) and run.state.cwd]
    require_own(again, options.directory)
    require_unmoved(again)
    return retry([run.state for run in again])


def table(runs: Sequence[Run], root: Path) -> Table:
    """A line a run; rounds are counted from 0, as in the log. If room is short, only the names take more lines."""
    shown = Table(box=SIMPLE_HEAD, caption=counts_of(runs), caption_justify="left")
    shown.add_column("run", overflow="fold", min_width=LEAST)
    shown.add_column("state", no_wrap=True)
    for name in ("round", "labelled", "test error %", "time left"):
        shown.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        state, colour = escape(run.state.words), COLOURS[run.state.state]
        shown.add_row(
            escape(name_of(run, root)),
            f"[{colour}]{state}[/{colour}]" if colour else state,
            round_of(run),
            f"{run.labelled or ''}",
            "" if run.test_error is None else f"{100 * run.test_error:.2f}",
            "" if run.seconds_left is None else minutes(run.seconds_left),
        )
    return shown


def minutes(seconds: float) -> str:
    """So many seconds, roughly."""
    return f"about {seconds / 60:.0f} min" if seconds > 30 else "under 1 min"


def message(run: Run, root: Path) -> Text:
    """Which run failed, and why: below the table, since a long reason would leave its columns no room."""
    return Text.assemble((name_of(run, root), "red"), f": {one_line(run.state.error)}")


def require_own(runs: Sequence[Run], directory: Path) -> None:
    """Raises UsageError unless these runs may be run again. A folder names their commands, so it must be trusted.

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


def require_unmoved(runs: Sequence[Run]) -> None:
    """Raises UsageError unless each run's command leads to the folder that was looked at, and not to an earlier one."""
    for run in runs:
        if run.state.folder and Path(run.state.folder) != run.folder.resolve():
            raise UsageError(
                f"{run.folder} is a copy of {run.state.folder}, or was moved from there, where its command would run "
                "again; give the sweep's own command with results= and the folder that holds the runs now"
            )


def config_places(file: Path, words: Sequence[str]) -> list[str]:
    """The folders of configurations that a command names. Raises UsageError for an option that al-run never records."""
    options = [word for word in words if word.startswith("-") and word != "-m"]
    strange = next((word for word in options if not word.startswith(CONFIG_DIR)), None)
    if strange is not None:
        raise UsageError(f"{file} has the option {strange}, which al-run never writes there; start the run by hand")
    return [word.removeprefix(CONFIG_DIR) for word in options]


def retry(states: Sequence[State]) -> int:
    """Run them again in the folders of their commands; runs of one sweep as a sweep. Returns 1 if one failed again."""
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
    both = parser.add_mutually_exclusive_group()
    both.add_argument("--watch", action="store_true", help="show it again and again until nothing runs; Ctrl-C ends it")
    both.add_argument("--retry-failed", action="store_true", help="run again what failed or was stopped")
    return parser


if __name__ == "__main__":
    sys.exit(main())
