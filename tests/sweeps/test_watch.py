"""`al-status --watch`, on a terminal and without one."""

import os
import pty
import signal
import tempfile
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from select import select

import pytest
from rich.console import Console
from terminal import CONTROL
from test_al_status import made

from al_runner.record.state import DONE, RUNNING, WAITING, State, write
from al_runner.sweeps.runs import runs_under, whole_left
from al_runner.sweeps.status import main
from al_runner.sweeps.watch import view, watch
from al_runner.sweeps.words import shared_folder


def later(action: object, *arguments: object) -> threading.Timer:
    timer = threading.Timer(0.4, action, arguments)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_without_a_terminal_it_prints_changes_until_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "a", RUNNING, rows=6)
    made(tmp_path / "b", "failed", rows=1, error="round 1: out of\nmemory")
    done = State(DONE, ("seed=0",), os.getcwd()).now(DONE, rounds=10)
    timer = later(write, tmp_path / "a", done)
    assert watch(tmp_path, seconds=0.05) == 0
    timer.join()
    assert capsys.readouterr().out.splitlines() == [
        "a | running | round 5/9 | 35.00 % error | about 0:04:24 left",  # 4 rounds of 60 + 6 seconds
        "b | failed | round 0/9 | 40.00 % error | about 0:09:54 left | round 1: out of memory",
        "1 running, 1 failed, 7 of 20 rounds, about 0:04:24 left for all",
        "a | done | round 5/9 | 35.00 % error",
        "1 done, 1 failed, 7 of 20 rounds",
    ]


def test_a_folder_without_runs_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--watch"]) == 2
    assert "holds no run with a state.json" in capsys.readouterr().err


class Terminal:
    """A terminal whose output is read by a thread."""

    def __init__(self) -> None:
        self._end, self.theirs = pty.openpty()
        self._parts: list[bytes] = []
        self._done = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._done.is_set() or self._more():
            if self._more():
                self._parts.append(os.read(self._end, 65536))

    def _more(self) -> bool:
        return bool(select([self._end], [], [], 0.05)[0])

    def closed(self) -> str:
        """All that was written to it; nothing may be written any more."""
        self._done.set()
        self._reader.join()
        os.close(self.theirs)
        os.close(self._end)
        return b"".join(self._parts).decode()


@contextmanager
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """In the block, standard output is a terminal of 120 columns and 30 lines."""
    terminal = Terminal()
    with monkeypatch.context() as patch, os.fdopen(os.dup(terminal.theirs), "w") as file:
        for name, value in {"COLUMNS": "120", "LINES": "30", "TERM": "xterm"}.items():
            patch.setenv(name, value)
        patch.setattr("sys.stdout", file)
        yield terminal


def test_ctrl_c_ends_it_and_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    made(tmp_path / "runs" / "a", RUNNING, rows=6)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    with on_terminal(monkeypatch) as terminal:
        threads, modes = set(threading.enumerate()), termios.tcgetattr(terminal.theirs)
        timer = later(os.kill, os.getpid(), signal.SIGINT)
        assert watch(tmp_path / "runs", seconds=0.05) == 130
        timer.join()
        assert set(threading.enumerate()) == threads
        assert termios.tcgetattr(terminal.theirs) == modes
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == files
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    text = terminal.closed()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden, and shown again
    assert "Traceback" not in text
    assert "5/9 35.00 █▇▅▄▂▁ 0:04:24" in " ".join(CONTROL.sub("", text).split())


def test_a_full_screen_shows_first_what_runs(tmp_path: Path) -> None:
    for number in range(12):
        made(tmp_path / f"a{number:02}", DONE, rows=10)
    made(tmp_path / "b", WAITING)
    made(tmp_path / "c", RUNNING, rows=2)
    console = Console(width=120, height=14, record=True, file=StringIO())
    console.print(view(runs_under(tmp_path), tmp_path, console.height))
    lines = console.export_text().splitlines()
    assert len(lines) <= 14
    names = [line.split()[0] for line in lines if line.startswith("  ") and line.strip()]
    assert names[:4] == ["run", "c", "b", "a00"]
    assert "(7 more runs have no room here)" in " ".join(" ".join(lines).split())


def test_a_narrow_screen_shows_which_strategy_and_seed_a_run_has(tmp_path: Path) -> None:
    """The folder that all runs share is said once, above the table, and not cut off in every line."""
    case = tmp_path / "photographs" / "small_cnn-plain-adam-small"
    for strategy in ("random", "uncertainty"):
        made(case / strategy / "seed0", RUNNING, rows=2)
    console = Console(width=90, height=20, record=True, file=StringIO())
    console.print(view(runs_under(tmp_path), tmp_path, console.height))
    shown = console.export_text()
    assert shown.startswith(f"runs in {case}"[:89])
    assert [line.split()[:2] for line in shown.splitlines() if "seed0" in line] == [
        ["random/seed0", "running"],
        ["uncertainty/seed0", "running"],
    ]


def test_runs_that_share_no_folder_show_strategy_seed_and_every_column(tmp_path: Path) -> None:
    for data in ("usps", "cifar10"):
        made(tmp_path / data / "small_cnn-plain-adam_short-usps" / "kfac_vfe-all_layers" / "seed12", RUNNING, rows=6)
    console = Console(width=100, height=20, record=True, file=StringIO())
    console.print(view(runs_under(tmp_path), tmp_path, console.height))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["run", "state", "round", "error", "%", "so", "far", "time", "left"] in lines
    rows = [line for line in lines if line and line[0].endswith("_vfe-all_layers/seed12")]
    assert [(row[0][0], row[1], row[-4:]) for row in rows] == [
        ("…", "running", ["5/9", "35.00", "█▇▅▄▂▁", "0:08:48"])  # two runs at once, so twice as long
    ] * 2


@pytest.mark.parametrize(
    ("folders", "shared"),
    [
        ((), ""),
        (("a",), ""),
        (("usps/net/random/seed0",), "usps/net"),
        (("usps/net/random/seed0", "usps/net/bald/seed1"), "usps/net"),
        (("usps/net/random/seed0", "mnist/net/random/seed0"), ""),
        (("usps/net/random/seed0", "usps/other/random/seed0"), "usps"),
    ],
)
def test_the_shared_folder_leaves_strategy_and_seed(tmp_path: Path, folders: tuple[str, ...], shared: str) -> None:
    for folder in folders:
        made(tmp_path / folder, DONE, rows=1)
    assert shared_folder(runs_under(tmp_path) if folders else [], tmp_path) == tmp_path / shared


def test_the_time_left_counts_processes_and_runs_that_wait(tmp_path: Path) -> None:
    made(tmp_path / "a", RUNNING, rows=6)  # 264 s left of 660 s
    made(tmp_path / "b", WAITING)
    assert whole_left(runs_under(tmp_path)) == 264 + 660
    made(tmp_path / "c", RUNNING, rows=8)  # in lock-step with a, so each takes twice as long
    runs = {run.folder.name: run for run in runs_under(tmp_path)}
    assert (runs["a"].seconds_left, runs["c"].seconds_left) == (2 * 264, 2 * 132)
    assert whole_left([*runs.values()]) == 264 + 132 + 660
