import logging
import os
import shutil
import sys
from pathlib import Path

# One thread a process, and no spinning: with the tests on all cores, more would fight for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from command import Command

from al_runner.main import main

# Folders of tests are in memory if there is room: a run of three rounds forces its files to disk forty times.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def al_run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """al-run in this process, which is as it was afterwards; exit code, and everything it printed."""
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)  # main sets it

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["al-run", *words])
        threads, handlers, level = torch.get_num_threads(), logging.root.handlers[:], logging.root.level
        code: int | str | None = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        finally:
            torch.set_num_threads(threads)
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)
        captured = capfd.readouterr()
        if isinstance(code, str):  # the interpreter prints it and exits with 1
            return 1, captured.out + captured.err + code
        return code or 0, captured.out + captured.err

    return call
