"""Runs that other processes carry out are not forgotten, whatever threads do meanwhile."""

from pathlib import Path

import pytest

from al_runner.record.state import LOCK
from al_runner.sweeps import elsewhere
from al_runner.sweeps.elsewhere import Elsewhere
from al_runner.system.claim import Claim


def test_a_job_is_free_once_its_folder_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Claim(tmp_path / "held" / LOCK)
    for name in ("held", "free"):
        (tmp_path / name).mkdir()
    jobs = Elsewhere([tmp_path / "held", tmp_path / "free", None])
    with held:
        for number in (0, 1, 2):
            jobs.leave(number, str(number))
        assert jobs.freed() == [1, 2]
        assert jobs
        monkeypatch.setattr(elsewhere, "sleep", lambda seconds: held.__exit__())
        assert jobs.freed() == [0]
    assert not jobs
    assert jobs.freed() == []


def test_a_job_that_another_thread_leaves_during_a_look_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Elsewhere([None] * 2)
    jobs.leave(0, "first")

    def meanwhile(number: int) -> bool:
        if number == 0:
            jobs.leave(1, "second")
        return True

    monkeypatch.setattr(jobs, "_is_free", meanwhile)
    assert jobs.freed() == [0]
    assert jobs.freed() == [1]


def test_whoever_stops_waits_for_nothing(tmp_path: Path) -> None:
    jobs = Elsewhere([tmp_path])
    with Claim(tmp_path / LOCK):
        jobs.leave(0, "first")
        assert jobs.freed(lambda: True) == []
