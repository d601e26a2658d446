import os
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from al_runner.record import state
from al_runner.record.state import DONE, FAILED, RUNNING, STOPPED, WAITING, Noted, State, mark_waiting, read, write
from al_runner.system.claim import note_of


def fresh(now: str = RUNNING, **changes: object) -> State:
    return State(now, ("seed=0",), os.getcwd()).now(now, **changes)


def state_in(folder: Path) -> str:
    found = read(folder)
    assert found is not None
    return found.state


def test_a_state_is_read_back_as_written(tmp_path: Path) -> None:
    written = fresh(rounds=7)
    write(tmp_path, written)
    assert read(tmp_path) == written
    assert read(tmp_path / "nowhere") is None
    (tmp_path / "state.json").write_text('{"state": ')
    assert read(tmp_path) is None


def test_a_run_whose_process_is_gone_was_stopped(tmp_path: Path) -> None:
    write(tmp_path, fresh())
    assert state_in(tmp_path) == RUNNING
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    write(tmp_path, State(**{**asdict(fresh()), "pid": child.pid}))
    assert state_in(tmp_path) == STOPPED
    write(tmp_path, State(**{**asdict(fresh()), "born": 12345.0}))  # another process has that number now
    assert state_in(tmp_path) == STOPPED


@pytest.mark.parametrize(("ago", "seen"), [(60, RUNNING), (state.SILENT + 60, STOPPED)])
def test_a_run_on_another_machine_goes_by_its_last_word(tmp_path: Path, ago: int, seen: str) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    write(tmp_path, State(**{**asdict(fresh()), "host": "elsewhere", "updated": when}))
    assert state_in(tmp_path) == seen


def test_a_long_round_on_another_machine_goes_by_the_note_that_its_process_touches(tmp_path: Path) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=10 * state.SILENT)).isoformat()
    write(tmp_path, State(**{**asdict(fresh()), "host": "elsewhere", "updated": when}))
    note = note_of(tmp_path / state.LOCK)
    for ago, seen in ((60, RUNNING), (state.SILENT + 60, STOPPED)):
        note.touch()
        os.utime(note, (time.time() - ago,) * 2)
        assert state_in(tmp_path) == seen


def test_waiting_does_not_hide_what_runs_or_is_done(tmp_path: Path) -> None:
    for before, after in ((None, WAITING), (DONE, DONE), (RUNNING, RUNNING), (FAILED, WAITING), (STOPPED, WAITING)):
        folder = tmp_path / str(before)
        if before is not None:
            write(folder, fresh(before, rounds=5))
        mark_waiting(folder, ["seed=1"])
        found = read(folder)
        assert found is not None
        assert found.state == after
        assert found.rounds == (0 if before is None else 5)


@pytest.mark.parametrize(
    ("error", "ended"), [(None, DONE), (ValueError("too bad"), FAILED), (KeyboardInterrupt(), STOPPED)], ids=str
)
def test_however_a_run_ends_it_is_noted(tmp_path: Path, error: BaseException | None, ended: str) -> None:
    try:
        with Noted(tmp_path, ["seed=0"], str) as noted:
            noted.runs(4)
            assert state_in(tmp_path) == RUNNING
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    found = read(tmp_path)
    assert found is not None
    assert (found.state, found.rounds, found.overrides) == (ended, 4, ("seed=0",))
    assert found.error == ("too bad" if ended == FAILED else "")


def test_a_refused_attempt_leaves_the_state_of_the_run_that_is_held(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    write(tmp_path, fresh(DONE, rounds=4))
    with pytest.raises(ValueError, match="another configuration"), Noted(tmp_path, ["seed=1"], str):
        raise ValueError("another configuration")
    found = read(tmp_path)
    assert found is not None
    assert (found.state, found.overrides) == (DONE, ("seed=0",))


def test_a_state_that_can_t_be_written_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Noted(tmp_path / "file", ["seed=0"], str) as noted:
        noted.runs(4)
