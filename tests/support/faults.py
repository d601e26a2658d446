"""al-run in forked children that a test kills, starves or fools: real signals, real system calls, no start-up."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo  # loaded by the first step of an optimiser, and here once for all children, as are the next two
from recorded import untimed
from sklearn.datasets import load_digits

import al_runner.analysis.draw.one_run
import al_runner.job.run  # noqa: F401 - see torch._dynamo
from al_runner.main import main

LENGTHY = bool(os.environ.get("AL_CHAOS"))  # set by scripts/chaos.sh
QUICK = ["model=usps_cnn", "budget.max_rounds=5", "training.max_checks=4", "training.check_every=10", "strategy=margin"]
load_digits()


def times(short: int, long: int) -> int:
    """How often a fault is tried."""
    return long if LENGTHY else short


class Child:
    """al-run in a process of its own; `before` runs there first."""

    def __init__(self, arguments: list[str], log: Path, before: Callable[[], object] = lambda: None):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.pid = os.fork()
        if self.pid:
            return
        code: object = 1
        try:
            output = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
            torch.set_num_threads(1)
            sys.argv = ["al-run", *arguments]
            before()
            main()
            code = 0
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                print(code, file=sys.stderr)
                code = 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else 0)

    def wait(self) -> int:
        """Its exit code, negative where a signal ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def killed_after(self, seconds: float) -> bool:
        """Whether SIGKILL found it running; it has ended in any case."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status) == -signal.SIGKILL
            time.sleep(0.001)
        os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL


def killed_at_sync(number: int) -> Callable[[], None]:
    """In a child: SIGKILL at the so-manyeth time that something is forced to disk, before or after its new name."""

    def prepare() -> None:
        real, left = os.fsync, [number]

        def fsync(descriptor: int) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            real(descriptor)

        os.fsync = fsync

    return prepare


def killed_in_append(number: int) -> Callable[[], None]:
    """In a child: SIGKILL in the middle of the so-manyeth addition to a file, half of which is written."""

    def prepare() -> None:
        real, left = os.write, [number]

        def write(descriptor: int, content: bytes) -> int:
            left[0] -= descriptor > 2
            if left[0] == 0 and descriptor > 2:
                real(descriptor, content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(descriptor, content)

        os.write = write

    return prepare


def run_folder(results: Path) -> Path:
    """The only run below `results`."""
    (file,) = results.rglob("state.json")
    return file.parent


def require_equal(folder: Path, reference: Path) -> None:
    """The runs have the same rows but for their times."""
    assert untimed(folder) == untimed(reference)
    for name in ("acquired.csv", "predicted.csv"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes()
