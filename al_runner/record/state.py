"""The state of a run: state.json in its folder, which the run writes and al-status reads."""

import json
import os
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from al_runner.errors import UsageError, Waiting
from al_runner.system import scheduler
from al_runner.system.atomic import replace_file
from al_runner.system.claim import Taken, alive, born, note_of
from al_runner.system.foreign import from_json

WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"
ASKING = "waiting for labels"  # of a person; no process runs meanwhile
NAME = "state.json"
LOCK = ".lock"  # the file that the process of a run holds
JOB = re.compile(r".*/\d+", re.DOTALL)  # see scheduler.py
LAUNCH = "AL_RUNNER_LAUNCH"  # environment variable of a process that carries out a part of another process's sweep
SILENT = 3600  # seconds without a sign of a run on another machine after which it counts as stopped


@dataclass(frozen=True)
class State:
    """The state of a run at one moment."""

    state: str
    overrides: tuple[str, ...]  # of the command line, enough to run it again
    cwd: str  # the folder in which the command was given
    rounds: int = 0  # in all, 0 if not known yet
    error: str = ""  # of a failed run, one line
    host: str = ""
    pid: int = 0
    born: float = 0.0  # when that process began, so that a later one with the same pid is not taken for it
    updated: str = ""  # UTC, ISO 8601
    launch: tuple[str, ...] = ()  # Hydra's part of the command line, -m first if it was a sweep's
    job: str = ""  # of a run that Slurm starts, see scheduler.py
    rule: str = ""  # the stopping rule that ended the run before its budget was spent
    folder: str = field(default="", compare=False)  # where it was written; another place: it was copied or moved

    @property
    def words(self) -> str:
        """The state as it is shown."""
        return f"{self.state} ({self.rule})" if self.rule and self.state == DONE else self.state

    def now(self, state: str, **changes: Any) -> "State":
        """The same run in the given state, at this moment and in this process."""
        me: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "born": born(os.getpid())}
        return replace(self, **{"error": "", **me, **changes}, state=state, updated=datetime.now(UTC).isoformat())

    def reconciled(self, folder: Path) -> "State":
        """The true state of the run in a folder.

        It counts as stopped if it says that it runs or waits, but its process or job is gone.
        """
        if self.state in (DONE, FAILED, ASKING):
            return self
        queued = scheduler.queued(self.job) if self.job else None
        if queued is None:
            # A run in Slurm's queue has no process; if Slurm does not answer, nothing says that it has left the queue.
            processless = self.state == STOPPED or (self.state == WAITING and self.job)
            return self if processless or self._alive(folder) else replace(self, state=STOPPED)
        if queued == scheduler.GONE:
            return replace(self, state=STOPPED, error=scheduler.ending(self.job))
        return self if self.state == RUNNING and queued == scheduler.RUNNING else replace(self, state=WAITING)

    def _alive(self, folder: Path) -> bool:
        """Whether the process that wrote this still runs.

        On another machine: whether it wrote this, or touched the note that it holds the folder, in the last SILENT s.
        """
        if self.host != socket.gethostname():
            signs = [datetime.fromisoformat(self.updated)]
            with suppress(OSError):
                signs.append(datetime.fromtimestamp(note_of(folder / LOCK).stat().st_mtime, UTC))
            return (datetime.now(UTC) - max(signs)).total_seconds() < SILENT
        return alive(self.pid, self.born)


class Noted:
    """A context that keeps the folder's state.json up to date, from the start of a run to any end of it.

    `explain` turns an error into one line.
    """

    def __init__(
        self,
        folder: Path,
        overrides: Sequence[str],
        explain: Callable[[BaseException], str],
        launch: Sequence[str] = (),
    ):
        self._folder, self._explain = folder, explain
        self._now = State(
            RUNNING, tuple(overrides), os.getcwd(), launch=tuple(launch), job=os.environ.get(scheduler.JOB, "")
        )
        self._foreign = (folder / "config.yaml").exists()  # until this run is known to be the folder's own

    def __enter__(self) -> "Noted":
        return self

    @property
    def words(self) -> list[str]:
        """The command line of this one run, without al-run."""
        return [*self._now.launch, *self._now.overrides]

    def runs(self, rounds: int) -> None:
        """Note that the run is the folder's own, and has begun."""
        self._foreign = False
        self.write(RUNNING, rounds=rounds)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None and (self._foreign or isinstance(error, Taken)):  # another process writes this state
            return
        if isinstance(error, Waiting):
            self.write(ASKING)
        elif isinstance(error, Exception):
            self.write(FAILED, error=self._explain(error))
        else:  # an interruption, or the end
            self.write(STOPPED if error is not None else DONE)

    def write(self, state: str, **changes: Any) -> None:
        """Replace state.json. If that fails, the run goes on without it."""
        self._now = self._now.now(state, **changes)
        with suppress(OSError):
            write(self._folder, self._now)


def write(folder: Path, state: State) -> None:
    """Replace the folder's state. Raises OSError if it can't be written."""
    here = replace(state, folder=str(folder.resolve()))
    replace_file(folder / NAME, (json.dumps(asdict(here), indent=2) + "\n").encode())


def read(folder: Path) -> State | None:
    """The folder's true state now (`reconciled`), or None if there is none or it is damaged."""
    with suppress(OSError, UsageError):
        return sound(folder)
    return None


def sound(folder: Path) -> State:
    """As `read`, but raises FileNotFoundError if there is none, and UsageError that names what is wrong with it."""
    file = folder / NAME
    entries = from_json(file)
    if not isinstance(entries, dict) or not {"state", "overrides", "cwd"} <= entries.keys() <= KINDS.keys():
        raise UsageError(f"{file} does not have the entries of a state; the run's own command writes it anew")
    for name, value in entries.items():
        if not KINDS[name](value):
            raise UsageError(f"{file}: {name} is {repr(value)[:60]}; the run's own command writes it anew")
    lists = {name: tuple(entries.get(name, ())) for name in ("overrides", "launch")}
    return State(**{**entries, **lists}).reconciled(folder)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_moment(value: object) -> bool:
    """Whether it is empty, or a time in ISO 8601 with its zone."""
    with suppress(ValueError):
        return value == "" or (isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None)
    return False


KINDS: dict[str, Callable[[object], bool]] = {
    "state": (WAITING, RUNNING, DONE, FAILED, STOPPED, ASKING).__contains__,
    "overrides": _are_texts,
    "cwd": _is_text,
    "rounds": _is_count,
    "error": _is_text,
    "host": _is_text,
    "pid": _is_count,
    "born": _is_number,
    "updated": _is_moment,
    "launch": _are_texts,
    "rule": _is_text,
    "folder": _is_text,
    "job": lambda value: _is_text(value) and (value == "" or JOB.fullmatch(str(value)) is not None),
}


def mark_waiting(folder: Path, overrides: Sequence[str], launch: Sequence[str] = (), job: str = "") -> None:
    """Note that the run will be started, unless it is running or done. Raises OSError if the state can't be written.

    `job` is the job of Slurm that will start it; "" is this process's own job, if it has one.
    """
    job = job or os.environ.get(scheduler.JOB, "")
    now = read(folder)
    if now is None or now.state not in (RUNNING, DONE):
        rounds = now.rounds if now else 0
        new = State(WAITING, tuple(overrides), os.getcwd(), rounds, launch=tuple(launch), job=job)
        write(folder, new.now(WAITING))
