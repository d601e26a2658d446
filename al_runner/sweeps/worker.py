"""Processes that carry out the runs of a sweep, one run after another."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

# Without -P, Python first looks for modules in the current folder, and a queue.py there hides Python's own.
AL_RUN = (sys.executable, "-P", "-m", "al_runner.main")


class Lost(Exception):
    """The worker ended in the middle of a run. `code` is its exit code; -n if signal n ended it."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"its process {f'was killed by signal {-self.code}' if self.code < 0 else f'ended with {self.code}'}"


class Answer(NamedTuple):
    """How a run ended."""

    error: str | None  # one line that says why it failed
    taken: bool = False  # it did not begin, since another process has its folder


class Worker:
    """A process of `command` (hydra/sweeper=fed) that gets its runs from this process.

    It does not see the terminal's signals, so that it gets each signal once, from this process. If this process dies,
    the worker stops at the end of its round. If it is `silent`, its lines are only in its runs' log files. Once it is
    `spent`, it takes no more runs.
    """

    spent = False

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: str | None = None, silent: bool = False
    ):
        self.process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if silent else 1,  # its prints go to our standard output
            text=True,
            env={**os.environ, **environment},
            cwd=cwd,
            start_new_session=True,
        )

    def run(self, number: int, overrides: Sequence[str]) -> Answer:
        """Carry out a run. Raises Lost if the process ends."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"number": number, "overrides": [*overrides]}), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Lost(self.process.wait())
        told: dict[str, Any] = json.loads(answer)
        self.spent = told.get("spent", False)
        return Answer(told["error"], told.get("taken", False))

    def stop(self) -> None:
        """Ask it to end after its round; a second call ends it at once."""
        self.process.terminate()

    def close(self) -> None:
        """End it after its run, and wait for its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it died before it read a run
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def carry_out(
    command: Sequence[str], environment: Mapping[str, str], cwd: str, number: int, overrides: Sequence[str]
) -> str | None:
    """Carry out a run in a new process, which ends if Ray's process ends.

    Returns None, or one line that says why the run failed. Raises Lost if the process is killed.
    """
    worker = Worker([sys.executable, *command[1:]], environment, cwd)
    try:
        return worker.run(number, overrides).error
    finally:
        worker.close()
