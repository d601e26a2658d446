"""Jobs of the cluster's scheduler, asked for with Slurm's own commands; no other package is needed.

A sweep is one array job of a name of its own; `job` is the sweep's folder and a number in the array, in one string.
"""

import subprocess
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from time import monotonic

from al_runner.errors import UsageError

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


def submit(script: Path) -> str:
    """Submit a batch script; the array job's number. UsageError where Slurm refuses it or is not there."""
    try:
        done = subprocess.run(["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise UsageError(
            "there is no sbatch here; submit from a machine of the cluster, or take hydra/launcher=auto"
        ) from None
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"sbatch refused {script}: {' '.join(error.stderr.split())}; change hydra.launcher.* (al-run --help)"
        ) from error
    return done.stdout.strip().partition(";")[0]


def options(settings: Iterable[tuple[str, object]]) -> list[str]:
    """The #SBATCH lines of options that are set."""
    return [f'#SBATCH --{name}="{value}"' for name, value in settings if value not in (None, 0, "")]


def script(directives: Sequence[str], setup: Sequence[str], command: str, job: str, seconds: int) -> str:
    """A batch script for `command` that puts itself into the queue again where Slurm wants its place or its time is up.

    Slurm then sends USR1. The command gets TERM, after which it has half of `seconds` to finish its rounds; a second
    TERM ends it at once. Commands get shell words that may name $SLURM_ARRAY_TASK_ID.
    """
    return "\n".join(
        [
            "#!/bin/bash",
            "# Written by al-run: one part of the sweep in jobs.json, beside this file, for every number of the array.",
            *directives,
            "again=",
            f"patience() {{ sleep {seconds // 2}; kill -TERM $run; sleep {max(1, seconds // 4)}; kill -KILL $run; }}",
            "trap 'again=yes; kill -TERM $run; patience 2>/dev/null &' USR1",
            "trap 'kill -TERM $run' TERM",
            f"export {JOB}={job}/$SLURM_ARRAY_TASK_ID",
            *setup,
            f"{command} &",
            "run=$!",
            '[ -n "$again" ] && kill -TERM $run  # told before there was anyone to tell',
            "wait $run; code=$?",
            "while kill -0 $run 2>/dev/null; do wait $run; code=$?; done  # a trap ends `wait` early",
            "wait $run; last=$?; [ $last = 127 ] || code=$last",
            '[ -n "$again" ] && [ $code -gt 128 ] && exec scontrol requeue $SLURM_JOB_ID',
            "exit $code",
            "",
        ]
    )


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
