"""Batch scripts for Slurm, and their submission with Slurm's own command; no other package is needed."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from al_runner.errors import UsageError
from al_runner.system.scheduler import JOB


def require_slurm() -> None:
    """Raises UsageError if Slurm's commands are missing."""
    if shutil.which("sbatch") is None:
        raise UsageError("there is no sbatch here; submit from a machine of the cluster, or take hydra/launcher=auto")


def submit(script: Path) -> str:
    """Submit a batch script. Returns the array job's number; raises UsageError if Slurm refuses the script."""
    try:
        done = subprocess.run(["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"sbatch refused the sweep: {' '.join(error.stderr.split())}; change hydra.launcher.* (al-run --help)"
        ) from error
    return done.stdout.strip().partition(";")[0]


def options(settings: Iterable[tuple[str, object]]) -> list[str]:
    """The #SBATCH lines of options that are set."""
    return [f'#SBATCH --{name}="{value}"' for name, value in settings if value not in (None, 0, "")]


def script(directives: Sequence[str], setup: Sequence[str], command: str, job: str, seconds: int) -> str:
    """A batch script for `command` that queues itself again if Slurm needs its place or its time is up.

    Slurm then sends USR1. The command gets TERM, and has half of `seconds` to finish its rounds; a second TERM ends it
    at once. The words of `command` and `setup` are for the shell and may name $SLURM_ARRAY_TASK_ID.
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
            '[ -n "$again" ] && kill -TERM $run  # the signal came before the command had started',
            "wait $run; code=$?",
            "while kill -0 $run 2>/dev/null; do wait $run; code=$?; done  # a trap ends `wait` early",
            "wait $run; last=$?; [ $last = 127 ] || code=$last",
            '[ -n "$again" ] && [ $code -gt 128 ] && exec scontrol requeue $SLURM_JOB_ID',
            "exit $code",
            "",
        ]
    )
