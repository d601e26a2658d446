"""A file or folder for one process at a time, even if locks do not reach other machines.

The holder needs two things: the lock of the file, which the system frees when the holder dies, and a note beside it
that says who holds it. On some network file systems a lock is local to one machine, or does nothing; then the note
alone decides. The holder touches its note every few seconds. Another process may remove the note if it knows that the
holder has ended. If it can't know that, it first watches the note for a while, and removes it if nobody touches it.
So the clocks of two machines are never compared.
"""

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from time import sleep
from uuid import uuid4

import psutil
from filelock import BaseFileLock, FileLock, Timeout

from al_runner.system import scheduler

BEAT, WATCH = 10.0, 35.0  # seconds between two touches; seconds that a note is watched
TURN = 0.1  # seconds between two attempts of a process that waits


class Taken(Exception):
    """Another process holds the file or folder."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a claim."""

    token: str
    host: str
    boot: str  # differs between two machines with one name
    pid: int
    born: float
    job: str  # the job of Slurm, see scheduler.py; empty outside Slurm

    @classmethod
    def me(cls) -> "Holder":
        pid = os.getpid()
        return cls(uuid4().hex, socket.gethostname(), _boot(), pid, born(pid), os.environ.get(scheduler.JOB, ""))

    def gone(self, me: "Holder") -> bool | None:
        """Whether this holder has ended; None if `me`, the process that asks, can't know it."""
        if (self.host, self.boot) == (me.host, me.boot):
            return not alive(self.pid, self.born)
        if self.job:  # Slurm starts a job again only after the job has ended
            return True if self.job == me.job or scheduler.queued(self.job) == scheduler.GONE else None
        return None

    def __str__(self) -> str:
        return f"another process ({self.pid} on {self.host})"


class Claim:
    """A context in which this process holds `path`, the file of the lock. Raises Taken if another process holds it.

    If `patient`, it waits for the other process instead.
    """

    def __init__(self, path: Path, patient: bool = False):
        self._path, self._note, self._patient = path, note_of(path), patient
        self._me = Holder.me()
        self._lock: BaseFileLock | None = FileLock(path)
        self._end = Event()

    def __enter__(self) -> "Claim":
        self._take_lock()
        try:
            while not self._write_note():
                self._require_free()
        except BaseException:
            self._give_lock()
            raise
        self._beats = Thread(target=self._beat, daemon=True)
        self._beats.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        with suppress(Taken, OSError):
            self.require()
            self._note.unlink()
        self._give_lock()

    def require(self) -> None:
        """Raises Taken if this process is not the holder any more, OSError if the note can't be read.

        Another process takes over if the holder does not touch its note for too long.
        """
        try:
            holder = _read(self._note)
        except FileNotFoundError:
            holder = None
        if holder is None:
            raise Taken(f"no longer held by this process: its note {self._note.name} is gone or damaged")
        if holder != self._me:
            raise Taken(f"taken over by {holder}")

    def _take_lock(self) -> None:
        assert self._lock is not None
        try:
            self._lock.acquire(timeout=-1 if self._patient else 0)
        except Timeout:
            raise Taken(f"in use by {_holder_in(self._note) or 'another process'}") from None
        except NotImplementedError:  # a file system without locks
            self._lock = None

    def _give_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _write_note(self) -> bool:
        """Write the note. Returns False, and writes nothing, if there is a note already."""
        try:
            file = os.open(self._note, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(file, "w") as stream:
                json.dump(asdict(self._me), stream)
                stream.flush()
                os.fsync(file)
        except OSError as error:  # such as a full disk: with half a note others would wait
            self._note.unlink(missing_ok=True)
            error.filename = str(self._note)
            raise
        return True

    def _require_free(self) -> None:
        """Remove the note if its holder has ended. If it has not, raises Taken, or waits a moment if `patient`."""
        try:
            before = self._note.stat().st_mtime_ns
        except FileNotFoundError:
            return
        holder = _holder_in(self._note)
        gone = holder.gone(self._me) if holder else None
        if gone is False:
            if not self._patient:
                raise Taken(f"in use by {holder}")
            sleep(TURN)
            return
        if gone is None and self._touched(before):
            if not self._patient:
                raise Taken(f"in use by {holder or 'another process'}")
            return
        aside = self._note.with_name(f"{self._note.name}.{self._me.token}")
        with suppress(FileNotFoundError):
            self._note.rename(aside)  # if several processes try this, only one succeeds
            if _holder_in(aside) != holder:  # another process was quicker, and this is its new note
                with suppress(FileExistsError):
                    os.link(aside, self._note)
            aside.unlink()

    def _touched(self, before: int) -> bool:
        """Watch the note for WATCH seconds: whether it was touched after the time `before` (ns), or removed."""
        for _ in range(int(WATCH / TURN)):
            sleep(TURN)
            try:
                with self._note.open() as file:  # a network file system asks its server only if a file is opened
                    if os.fstat(file.fileno()).st_mtime_ns != before:
                        return True
            except FileNotFoundError:
                return True
        return False

    def _beat(self) -> None:
        while not self._end.wait(BEAT):
            with suppress(OSError):
                os.utime(self._note)


def note_of(path: Path) -> Path:
    """The note beside the file of a lock that says who holds it; its holder touches it every BEAT seconds."""
    return path.with_name(f"{path.name}.owner")


def born(pid: int) -> float:
    """When a process began, in seconds. If there is a /proc, since the machine's start: nobody can set that clock.

    Raises OSError or psutil.Error if there is no such process.
    """
    if not Path("/proc/self/stat").exists():
        return psutil.Process(pid).create_time()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def alive(pid: int, birth: float) -> bool:
    """Whether the process `pid` that began at `birth` is running on this machine, not a later one with its number."""
    try:
        return abs(born(pid) - birth) < 1
    except (OSError, psutil.Error):
        return False


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _read(note: Path) -> Holder | None:
    """The holder that the note names, None if the note is half-written. Raises OSError if it can't be read."""
    try:
        return Holder(**json.loads(note.read_text()))
    except (ValueError, TypeError):
        return None


def _holder_in(note: Path) -> Holder | None:
    """The holder that the note names, None if the note is half-written or can't be read."""
    with suppress(OSError):
        return _read(note)
    return None
