"""al-run as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., tuple[int, str]]  # words -> exit code and output
QUICK = ["budget.max_rounds=3", "training.max_checks=1", "training.check_every=2", "model=usps_cnn"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def command(*words: str) -> list[str]:
    """The command line of `al-run WORDS` in this Python."""
    return [sys.executable, "-m", "al_runner.main", *words]


def started(*words: str) -> "subprocess.Popen[str]":
    """`al-run WORDS`, running; its two outputs are one text."""
    return subprocess.Popen(
        command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(*words: str) -> tuple[int, str]:
    """Exit code and output of `al-run WORDS`."""
    process = started(*words)
    output, _ = process.communicate()
    return process.returncode, output


def digits8(results: Path, *more: str) -> list[str]:
    """A run of four rounds on the 8 x 8 digits that takes a second."""
    return ["dataset=digits", f"results={results}", *QUICK, *more]
