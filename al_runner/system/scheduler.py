"""What Slurm says of its jobs, asked with its own commands; al_runner/sweep/batch.py submits them.

A sweep is one array job of a name of its own; `job` is the sweep's folder and a number in the array, in one string.
"""

import subprocess
from functools import lru_cache
from pathlib import Path
from time import monotonic

JOB = "AL_RUNNER_JOB"  # in the environment of a process that Slurm started for us, the job it is
RUNNING, GONE = "RUNNING", ""
FRESH = 3  # seconds that an answer of squeue's is used for


def queued(job: str) -> str | None:
    """The job's state in Slurm's queue, GONE where it is not there any more, None where there is no Slurm to ask."""
    listing = _queue(int(monotonic() / FRESH))
    return None if listing is None else listing.get(_name_and_number(job), GONE)


def ending(job: str) -> str:
    """How a job that left the queue ended, one line, with the place of its log."""
    folder, _, number = job.rpartition("/")
    state = _accounted(Path(folder).name).get(number, "ended, or was never submitted")
    return f"Slurm: {state}; its log is {folder}/{number}.log"


@lru_cache(maxsize=1)
def _queue(_: int) -> dict[tuple[str, str], str] | None:
    """Every array job's state by its name and number."""
    try:
        command = ["squeue", "-h", "-r", "-o", "%K|%T|%j"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.strip().split("|", 2) for line in done.stdout.splitlines()]
    return {(name, number): state for number, state, name in rows}


@lru_cache(maxsize=64)
def _accounted(name: str) -> dict[str, str]:
    """How the jobs of an array ended, by number; nothing where Slurm keeps no accounts."""
    try:
        command = ["sacct", "-n", "-X", "-P", "-S", "now-90days", "-o", "JobID,State", f"--name={name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = [line.strip().partition("|") for line in done.stdout.splitlines()]
    return {job.rpartition("_")[2]: state for job, _, state in rows}


def _name_and_number(job: str) -> tuple[str, str]:
    folder, _, number = job.rpartition("/")
    return Path(folder).name, number
