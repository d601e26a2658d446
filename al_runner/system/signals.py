"""Signals end a run without a loss: the first SIGINT or SIGTERM waits for the end of the round, the second does not."""

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
    """A run reached a point where it can stop and do nothing twice later, and a signal had come before."""


class _Received:
    """The signal that this process received, and how many of its runs want to finish their round first."""

    signum = 0
    finishing = 0
    quiet = False


@contextmanager
def listening(quiet: bool = False) -> Iterator[None]:
    """Handle the signals in the block. `quiet` prints no line, for a process whose parent does that."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    _Received.signum, _Received.quiet = 0, quiet
    before = [signal.signal(number, _receive) for number in SIGNALS]
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
    """In the block, the first signal is only noted, for `stop_point` and `noted_signal`."""
    _Received.finishing += 1
    try:
        yield
    finally:
        _Received.finishing -= 1


def noted_signal() -> int:
    """The number of the signal that was noted, 0 if there was none."""
    return _Received.signum


def stop_point() -> None:
    """Raises RoundEnd if a signal was noted."""
    if _Received.signum:
        raise RoundEnd(_Received.signum)


def _receive(signum: int, _: FrameType | None) -> None:
    if _Received.signum or not _Received.finishing:
        raise Stopped(signum)
    _Received.signum = signum
    if not _Received.quiet:
        os.write(2, b"al-run: finishing the current round; the same signal again stops at once\n")
