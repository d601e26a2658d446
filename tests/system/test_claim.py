"""A claim is one process's, on whatever file system; a holder that is gone does not keep it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from al_runner.system import claim, scheduler
from al_runner.system.claim import Claim, Holder, Taken, alive, born

# Holds a claim until its input ends, with file locks that do nothing: what it prints says how it went.
HOLD = """
import fcntl, sys
fcntl.flock = lambda *_: None
from pathlib import Path
from al_runner.system import claim
claim.BEAT, claim.WATCH = 0.1, 1.0
try:
    with claim.Claim(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
except claim.Taken as error:
    print(error, flush=True)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT", 0.1)
    monkeypatch.setattr(claim, "WATCH", 1.0)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(fcntl, "flock", lambda *_: None)


def other_machine() -> list[str]:
    """A prefix that gives a process another host name; skips where that takes rights we don't have."""
    words = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("another host name for a process needs root and unshare")
    return words


def holder(path: Path, *prefix: str) -> "subprocess.Popen[str]":
    command = [*prefix, sys.executable, "-c", HOLD, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_claim_that_is_held_is_refused_and_one_that_is_given_back_is_not(tmp_path: Path) -> None:
    with Claim(tmp_path / "lock"), pytest.raises(Taken, match="in use by another process"), Claim(tmp_path / "lock"):
        pass
    with Claim(tmp_path / "lock"):
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "lock.owner"}
    assert {path.name for path in tmp_path.iterdir()} <= {"lock"}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["this machine", "another machine"])
@pytest.mark.usefixtures("quick", "no_locks")
def test_without_locks_the_note_decides(tmp_path: Path, elsewhere: bool) -> None:
    first = holder(tmp_path / "lock", *(other_machine() if elsewhere else []))
    assert said(first) == "held"
    with pytest.raises(Taken, match=r"in use by another process \(\d+ on "), Claim(tmp_path / "lock"):
        pass
    first.communicate()
    with Claim(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("elsewhere", [False, True], ids=["this machine", "another machine"])
@pytest.mark.usefixtures("quick", "no_locks")
def test_a_holder_that_was_killed_does_not_keep_it(tmp_path: Path, elsewhere: bool) -> None:
    first = holder(tmp_path / "lock", *(other_machine() if elsewhere else []))
    assert said(first) == "held"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (tmp_path / "lock.owner").exists()
    with Claim(tmp_path / "lock"):
        pass


@pytest.mark.usefixtures("quick", "no_locks")
def test_of_many_that_find_a_dead_holder_s_note_one_gets_it(tmp_path: Path) -> None:
    words = other_machine()
    first = holder(tmp_path / "lock", *words)
    assert said(first) == "held"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    several = [holder(tmp_path / "lock", *(words if number % 2 else [])) for number in range(4)]
    answers = [said(process) for process in several]
    for process in several:
        process.communicate()
    assert answers.count("held") == 1
    assert all("another process" in answer for answer in answers if answer != "held")


@pytest.mark.usefixtures("quick", "no_locks")
def test_a_holder_that_was_silent_too_long_finds_out_before_it_writes(tmp_path: Path) -> None:
    """Stopped for as long as others watch, it is taken for dead."""
    words = other_machine()
    with Claim(tmp_path / "lock") as mine:
        mine.require()
        mine._end.set()  # no more signs of life
        mine._beats.join()
        second = holder(tmp_path / "lock", *words)
        assert said(second) == "held"
        with pytest.raises(Taken, match=r"taken over by another process \(\d+ on elsewhere\)"):
            mine.require()
    assert (tmp_path / "lock.owner").exists()  # the other's note
    second.communicate()


def test_taken_over_is_said_only_where_somebody_did(tmp_path: Path) -> None:
    note = tmp_path / "lock.owner"
    with Claim(tmp_path / "lock") as mine:
        held = note.read_text()
        note.unlink()
        with pytest.raises(Taken, match=r"no longer held by this process: its note lock\.owner is gone"):
            mine.require()
        note.mkdir()
        with pytest.raises(IsADirectoryError):
            mine.require()
        note.rmdir()
        note.write_text(held)
        mine.require()


def test_a_disk_without_room_for_the_note_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "fsync", full)
        Claim(tmp_path / "lock").__enter__()
    assert not (tmp_path / "lock.owner").exists()
    with Claim(tmp_path / "lock"):
        pass


@pytest.mark.usefixtures("no_locks")
def test_a_job_that_slurm_starts_again_takes_over_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(Holder.me(), host="node7", job="/x/.slurm/al-run-1/3")
    (tmp_path / "lock.owner").write_text(json.dumps(asdict(gone)))
    monkeypatch.setenv(scheduler.JOB, gone.job)
    monkeypatch.setattr(claim, "WATCH", 1e9)
    with Claim(tmp_path / "lock"):
        pass


def test_a_patient_claim_waits_its_turn(tmp_path: Path) -> None:
    first = holder(tmp_path / "lock")
    assert said(first) == "held"
    script = HOLD.replace("Path(sys.argv[1])", "Path(sys.argv[1]), patient=True")
    second = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(0.5)
    first.communicate()
    assert said(second) == "held"
    second.communicate()


def test_the_number_of_a_process_that_ended_is_not_taken_for_it() -> None:
    me = os.getpid()
    assert alive(me, born(me))
    assert not alive(me, born(me) - 60)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    birth = born(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(child.pid, birth)  # a zombie is no holder
    child.wait()
    assert not alive(child.pid, birth)
