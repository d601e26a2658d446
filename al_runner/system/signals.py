"""Signals that end a run where nothing is lost: SIGINT and SIGTERM wait for the round, the second one does not."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal ended the program; by convention its exit code is 128 + `signum`."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class RoundEnd(Stopped):
    """A signal was waiting when a run came to a point where it can stop without doing anything twice."""


class _Asked:
    """What this process was told, and how many runs of it want to finish their round first."""

    signum = 0
    finishing = 0
    quiet = False


@contextmanager
def listening(quiet: bool = False) -> Iterator[None]:
    """Take the signals in the block; `quiet` where another process, which forwards them, tells the user."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    _Asked.signum, _Asked.quiet = 0, quiet
    before = [signal.signal(number, _hear) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Let signals wait for the end of the block: an import that is interrupted half-way ends in any error at all."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def finishing() -> Iterator[None]:
    """In the block the first signal is only noted, for `stop_point` and `asked`."""
    _Asked.finishing += 1
    try:
        yield
    finally:
        _Asked.finishing -= 1


def asked() -> int:
    """The signal that was noted, 0 for none."""
    return _Asked.signum


def stop_point() -> None:
    """RoundEnd where a signal was noted."""
    if _Asked.signum:
        raise RoundEnd(_Asked.signum)


def _hear(signum: int, _: FrameType | None) -> None:
    if _Asked.signum or not _Asked.finishing:
        raise Stopped(signum)
    _Asked.signum = signum
    if not _Asked.quiet:
        os.write(2, b"al-run: finishing the running round; the same signal again stops at once\n")
