"""A command on a machine without room, or told to end while it starts, says so in a line."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from al_runner.system.start import shortage, starting

AL_RUN = [sys.executable, "-m", "al_runner.main", "strategy=random", "budget.max_rounds=1", "training.max_checks=1"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def limited(tmp_path: Path, kind: int, most: int) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(kind, (most, most))

    words = [*AL_RUN, f"results={tmp_path}"]
    return subprocess.run(words, preexec_fn=limit, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("kind", "most", "words"),
    [(resource.RLIMIT_NOFILE, 5, "may open no more files"), (resource.RLIMIT_AS, 3 * 10**8, "gets no more memory")],
    ids=["files", "memory"],
)
def test_a_limit_of_the_machine_is_named(tmp_path: Path, kind: int, most: int, words: str) -> None:
    done = limited(tmp_path, kind, most)
    assert done.returncode == 1
    assert done.stderr.startswith("al-run: this process "), done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.0])
def test_a_signal_during_the_start_ends_it_with_130(tmp_path: Path, seconds: float) -> None:
    words = [*AL_RUN, f"results={tmp_path}", "budget.max_rounds=50"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
    try:
        child = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(seconds)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate()
    # On a slow machine the signal comes before Python does; a shell calls both 130.
    assert child.returncode in (130, -signal.SIGINT), errors
    assert "Traceback" not in errors
    assert "ImportError" not in errors


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (MemoryError(), "ulimit -v"),
        (ImportError("x.so: failed to map segment from shared object"), "ulimit -v"),
        (RuntimeError("can't start new thread"), "ulimit -v"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has 1 GiB free."),
            "the GPU has no more memory",
        ),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), "nvidia-smi"),
        (ValueError("a mistake"), None),
        (OSError(errno.ENOSPC, "No space left on device"), None),
    ],
    ids=str,
)
def test_only_a_shortage_is_one(error: Exception, words: str | None) -> None:
    for shown in (error, behind(error)):
        line = shortage(shown)
        assert (line is None) if words is None else (line is not None and words in line)


def behind(error: Exception) -> Exception:
    """Another error that came of it."""
    try:
        raise KeyError("x") from error
    except KeyError as other:
        return other


def test_a_mistake_in_an_import_stays_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def importing(fail: Callable[[], object]) -> None:
        with starting("al-run"):
            fail()

    with pytest.raises(ZeroDivisionError):
        importing(lambda: 1 // 0)
    with pytest.raises(SystemExit, match="al-run: this process gets no more memory"):
        importing(lambda: bytearray(10**18))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(SystemExit) as end:
            importing(lambda: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 130
