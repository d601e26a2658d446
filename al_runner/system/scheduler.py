"""Asks Slurm about its jobs with Slurm's own commands; al_runner/sweeps/batch.py submits them.

A sweep is one array job with a name that no other has. `job` is the sweep's folder and a number in the array, FOLDER/N.
"""

import subprocess
from functools import lru_cache
from pathlib import Path
from time import monotonic

JOB = "AL_RUNNER_JOB"  # environment variable of a process that Slurm started: which job it is
RUNNING, GONE = "RUNNING", ""
FRESH = 3  # seconds for which one answer of squeue is used


def queued(job: str) -> str | None:
    """The job's state in Slurm's queue; GONE if it is not there any more, None if Slurm does not answer."""
    listing = _queue(int(monotonic() / FRESH))
    return None if listing is None else listing.get(_name_and_number(job), GONE)


def ending(job: str) -> str:
    """How a job that left the queue ended, in one line, with the path of its log."""
    folder, _, number = job.rpartition("/")
    state = _accounted(Path(folder).name).get(number, "ended, or was never submitted")
    return f"Slurm: {state}; its log is {folder}/{number}.log"


@lru_cache(maxsize=1)
def _queue(_: int) -> dict[tuple[str, str], str] | None:
    """The state of every array job by its name and number, None if Slurm does not answer."""
    try:
        command = ["squeue", "-h", "-r", "-o", "%K|%T|%j"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.strip().split("|", 2) for line in done.stdout.splitlines()]
    return {(name, number): state for number, state, name in rows}


@lru_cache(maxsize=64)
def _accounted(name: str) -> dict[str, str]:
    """How the jobs of an array ended, by number; empty if Slurm keeps no accounts."""
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
