"""A process that carries out the runs of a sweep, one after another."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

# -P: without it the folder that a sweep is started in comes first on the path, and a queue.py there hides Python's own.
AL_RUN = (sys.executable, "-P", "-m", "al_runner.run")


class Lost(Exception):
    """The worker ended in the middle of a run; `code` is its exit code, negative where a signal ended it."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"its process {f'was killed by signal {-self.code}' if self.code < 0 else f'ended with {self.code}'}"


class Worker:
    """A process of `command` (hydra/sweeper=fed) that is fed with runs.

    It does not see the terminal's signals, so that they reach it once, from whoever feeds it; should that one die, it
    stops at the end of its round.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cwd: str | None = None):
        self.process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=1,  # what it prints goes where we print
            text=True,
            env={**os.environ, **environment},
            cwd=cwd,
            start_new_session=True,
        )

    def run(self, number: int, overrides: Sequence[str]) -> str | None:
        """Carry out a run; None, or why it failed in one line. Lost where the process ends instead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"number": number, "overrides": [*overrides]}), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Lost(self.process.wait())
        error: str | None = json.loads(answer)["error"]
        return error

    def stop(self) -> None:
        """Ask for its end, after the round it is in; a second time: at once."""
        self.process.terminate()

    def close(self) -> None:
        """End it and wait for that."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it died with a run unread
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def carry_out(
    command: Sequence[str], environment: Mapping[str, str], cwd: str, number: int, overrides: Sequence[str]
) -> str | None:
    """A run in a process of its own that ends with Ray's; None, or why it failed. Lost where it was killed."""
    worker = Worker([sys.executable, *command[1:]], environment, cwd)
    try:
        return worker.run(number, overrides)
    finally:
        worker.close()
