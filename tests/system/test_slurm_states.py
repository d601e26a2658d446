"""How Slurm's answers are read; tests/slurm has the same with a real Slurm."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from al_runner.errors import UsageError
from al_runner.plugins.hydra_plugins.al_runner_slurm import under_way
from al_runner.record.state import DONE, FAILED, RUNNING, STOPPED, WAITING, State, mark_waiting, read, write
from al_runner.sweeps import batch
from al_runner.system import scheduler

HOME = "/somewhere/.slurm/al-run-12ab"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the place of Slurm's programs."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    scheduler._queue.cache_clear()
    scheduler._accounted.cache_clear()
    return tmp_path / "bin"


def program(folder: Path, name: str, output: str, code: int = 0) -> None:
    (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {code}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("noted", "queued", "seen"),
    [
        (WAITING, "PENDING", WAITING),
        (RUNNING, "RUNNING", RUNNING),
        (WAITING, "RUNNING", WAITING),  # it is starting
        (RUNNING, "PENDING", WAITING),  # it was requeued
        (STOPPED, "PENDING", WAITING),
        (STOPPED, "RUNNING", WAITING),
        (RUNNING, "", STOPPED),
        (WAITING, "", STOPPED),
        (DONE, "", DONE),
        (FAILED, "RUNNING", FAILED),  # another run of the same job goes on
    ],
)
def test_the_queue_decides_what_a_note_is_worth(
    commands: Path, tmp_path: Path, noted: str, queued: str, seen: str
) -> None:
    others = "N/A|RUNNING|somebody's job\n4|PENDING|al-run-12ab\n3|RUNNING|al-run-ffff"
    program(commands, "squeue", others + (f"\n3|{queued}|al-run-12ab" if queued else ""))
    program(commands, "sacct", "77_3|CANCELLED by 0\n77_4|PENDING")
    write(tmp_path, State(noted, ("seed=0",), "/", job=f"{HOME}/3").now(noted))
    found = read(tmp_path)
    assert found is not None
    assert found.state == seen
    assert found.error == (f"Slurm: CANCELLED by 0; its log is {HOME}/3.log" if seen == STOPPED else "")


def test_without_slurm_a_run_elsewhere_goes_by_its_last_word(commands: Path, tmp_path: Path) -> None:
    program(commands, "squeue", "no cluster here", code=1)
    write(tmp_path, State(**{**vars(State(RUNNING, (), "/", job=f"{HOME}/3").now(RUNNING)), "host": "node7"}))
    assert (read(tmp_path) or pytest.fail("no state")).state == RUNNING


def test_a_slurm_that_does_not_answer_leaves_a_run_in_its_queue(commands: Path, tmp_path: Path) -> None:
    """A busy cluster often refuses one question. The sweep's command, given again, must not submit the run again."""
    program(commands, "squeue", "Socket timed out on send/recv operation", code=1)
    submitted = State(WAITING, (), "/", job=f"{HOME}/3").now(WAITING, pid=2**22 + 1)  # its al-run has ended
    write(tmp_path, submitted)
    assert (read(tmp_path) or pytest.fail("no state")).state == WAITING
    assert under_way(tmp_path)
    write(tmp_path, replace(submitted, job=""))  # a run that waits for a worker of al-run
    assert (read(tmp_path) or pytest.fail("no state")).state == STOPPED


def test_a_run_that_waits_inside_a_job_waits_as_long_as_the_job_is_queued(
    commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of several runs was requeued before its last run began. Then no process of the job is alive."""
    monkeypatch.setenv(scheduler.JOB, f"{HOME}/3")
    mark_waiting(tmp_path, ["seed=0"])
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps(state | {"pid": 2**22 + 1}))
    for queued, seen in (("3|PENDING|al-run-12ab", WAITING), ("4|PENDING|al-run-12ab", STOPPED)):
        program(commands, "squeue", queued)
        scheduler._queue.cache_clear()
        assert (read(tmp_path) or pytest.fail("no state")).state == seen


def test_what_sbatch_refuses_is_named(commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (commands / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    (commands / "sbatch").chmod(0o755)
    with pytest.raises(UsageError, match="invalid partition"):
        batch.submit(tmp_path / "job.sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no sbatch here"):
        batch.require_slurm()


@pytest.mark.parametrize(
    ("told", "does", "requeued", "code"),
    [
        ("", "exit 0", False, 0),
        ("", "exit 1", False, 1),
        ("USR1", "trap 'exit 143' TERM; sleep 5 & wait $!", True, 0),
        ("USR1", "trap 'exit 0' TERM; sleep 5 & wait $!", False, 0),  # done, just in time
        ("TERM", "trap 'exit 143' TERM; sleep 5 & wait $!", False, 143),  # cancelled: not again
        ("USR1", "trap '' TERM; exec sleep 60", True, 0),  # does not listen: killed, and again
    ],
)
def test_the_batch_script_queues_itself_again_only_when_its_time_is_up(
    commands: Path, tmp_path: Path, told: str, does: str, requeued: bool, code: int
) -> None:
    (commands / "scontrol").write_text(f"#!/bin/sh\necho $* > {tmp_path}/requeued\n")
    (commands / "scontrol").chmod(0o755)
    (tmp_path / "run.sh").write_text(f"touch {tmp_path}/begun\n{does}\n")
    (tmp_path / "job.sh").write_text(batch.script([], [], f"bash {tmp_path}/run.sh", str(tmp_path), seconds=4))
    (tmp_path / "begun").unlink(missing_ok=True)
    job = subprocess.Popen(["bash", tmp_path / "job.sh"], env={**os.environ, "SLURM_JOB_ID": "5"})
    if told:
        while not (tmp_path / "begun").exists():
            pass
        subprocess.run(["sleep", "0.3"], check=True)
        subprocess.run(["kill", f"-{told}", str(job.pid)], check=True)
    assert job.wait() == code
    assert (tmp_path / "requeued").exists() == requeued
    if requeued:
        assert (tmp_path / "requeued").read_text() == "requeue 5\n"
