"""One process at a time for a file or folder, also where locks don't reach other machines.

Two things must be had: the file's lock, which the system gives back when its holder dies, and a note beside it that
says who holds it. On a network file system whose locks are local to a machine, or do nothing, the note alone decides.
Its holder touches it every few seconds. Somebody else's note counts for nothing once its process is known to be gone
or, where that can't be known, once it has been watched and nobody touched it: no two clocks are compared.
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

BEAT, WATCH = 10.0, 35.0  # seconds between two touches; seconds of watching
TURN = 0.1  # seconds between two attempts of somebody who waits


class Taken(Exception):
    """Somebody else has it."""


@dataclass(frozen=True)
class Holder:
    """Who holds a claim."""

    token: str
    host: str
    boot: str  # tells machines of one name apart
    pid: int
    born: float
    job: str  # Slurm's, see scheduler.py

    @classmethod
    def me(cls) -> "Holder":
        pid = os.getpid()
        return cls(uuid4().hex, socket.gethostname(), _boot(), pid, born(pid), os.environ.get(scheduler.JOB, ""))

    def gone(self, me: "Holder") -> bool | None:
        """Whether it is known to have ended; None where that can't be known from here."""
        if (self.host, self.boot) == (me.host, me.boot):
            return not alive(self.pid, self.born)
        if self.job:  # Slurm starts a job again only once it has ended
            return True if self.job == me.job or scheduler.queued(self.job) == scheduler.GONE else None
        return None

    def __str__(self) -> str:
        return f"another process ({self.pid} on {self.host})"


class Claim:
    """A context in which this process holds `path`, the lock's file; Taken where another one does.

    `patient` waits for that one instead.
    """

    def __init__(self, path: Path, patient: bool = False):
        self._path, self._note, self._patient = path, path.with_name(f"{path.name}.owner"), patient
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
        """Taken where it is not this process's any more, OSError where that can't be told.

        Somebody who finds a holder silent for too long takes over.
        """
        try:
            holder = _read(self._note)
        except FileNotFoundError:
            holder = None
        if holder is None:
            raise Taken(f"no longer this process's: its note {self._note.name} is gone or damaged")
        if holder != self._me:
            raise Taken(f"taken over by {holder}")

    def _take_lock(self) -> None:
        assert self._lock is not None
        try:
            self._lock.acquire(timeout=-1 if self._patient else 0)
        except Timeout:
            raise Taken(f"in use by {_told(self._note) or 'another process'}") from None
        except NotImplementedError:  # a file system without locks
            self._lock = None

    def _give_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _write_note(self) -> bool:
        """Whether the note is ours now; False where there is one."""
        try:
            file = os.open(self._note, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(file, "w") as stream:
                json.dump(asdict(self._me), stream)
                stream.flush()
                os.fsync(file)
        except OSError as error:  # a full disk: half a note would keep others waiting
            self._note.unlink(missing_ok=True)
            error.filename = str(self._note)
            raise
        return True

    def _require_free(self) -> None:
        """Remove the note of a holder that is gone; Taken, or a while of waiting, where it is not."""
        try:
            before = self._note.stat().st_mtime_ns
        except FileNotFoundError:
            return
        holder = _told(self._note)
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
            self._note.rename(aside)  # of several that find it abandoned, one
            if _told(aside) != holder:  # another one was quicker, and this is its new note
                with suppress(FileExistsError):
                    os.link(aside, self._note)
            aside.unlink()

    def _touched(self, before: int) -> bool:
        """Whether the note shows a sign of life, or goes, while it is watched."""
        for _ in range(int(WATCH / TURN)):
            sleep(TURN)
            try:
                with self._note.open() as file:  # opened, since a network file system then asks its server
                    if os.fstat(file.fileno()).st_mtime_ns != before:
                        return True
            except FileNotFoundError:
                return True
        return False

    def _beat(self) -> None:
        while not self._end.wait(BEAT):
            with suppress(OSError):
                os.utime(self._note)


def born(pid: int) -> float:
    """When a process began, in seconds, on a clock that nobody sets: that of the boot where /proc has it.

    OSError or psutil.Error where there is no such process.
    """
    if not Path("/proc/self/stat").exists():
        return psutil.Process(pid).create_time()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def alive(pid: int, birth: float) -> bool:
    """Whether that very process is running on this machine."""
    try:
        return abs(born(pid) - birth) < 1
    except (OSError, psutil.Error):
        return False


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _read(note: Path) -> Holder | None:
    """Who the note names, None where it is half-written; OSError where it can't be read."""
    try:
        return Holder(**json.loads(note.read_text()))
    except (ValueError, TypeError):
        return None


def _told(note: Path) -> Holder | None:
    """Who the note names, None where that can't be told."""
    with suppress(OSError):
        return _read(note)
    return None
