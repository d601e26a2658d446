import os
import re
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from al_runner.record.state import DONE, FAILED, RUNNING, STOPPED, WAITING, State, write
from al_runner.sweeps.runs import runs_under
from al_runner.sweeps.status import main, minutes, table


def made(folder: Path, now: str, rows: int = 0, rounds: int = 10, **changes: object) -> None:
    """A run of `rows` recorded rounds, 60 and 6 seconds each."""
    folder.mkdir(parents=True)
    header = "round,labelled,test_error,test_accuracy,best_test_error,val_error,train_error,test_nll,steps"
    errors = [f"0.{40 - r},0.{60 + r},0.{40 - r}" for r in range(rows)]
    lines = [f"{r},{10 * (r + 1)},{error},0.4,0,1.5,64,60.0,6.0" for r, error in enumerate(errors)]
    (folder / "rounds.csv").write_text("\n".join([f"{header},fit_seconds,select_seconds", *lines]) + "\n")
    keys = ("dataset", "model", "learner", "training", "budget", "strategy")
    run = "".join(f"  {key}: {key}\n" for key in keys)
    (folder / "config.yaml").write_text(f"run:\n{run}  name: ''\n  seed: 0\n")
    write(folder, State(now, ("seed=0",), os.getcwd()).now(now, rounds=rounds, **changes))


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, " ".join(out.split()), err


def test_every_state_is_told_with_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "a", RUNNING, rows=6)
    made(tmp_path / "b", DONE, rows=10)
    made(tmp_path / "c", WAITING)
    made(tmp_path / "d", "failed", rows=2, error="round 2: the training loss is not finite [see the log]")
    made(tmp_path / "e", RUNNING, rows=2)
    gone = State(RUNNING, (), "", 10).now(RUNNING)
    write(tmp_path / "e", replace(gone, born=1.0))
    code, out, _ = shown(capsys, str(tmp_path))
    assert code == 0
    assert "a running 5/9 60 35.00 about 4 min" in out  # 4 rounds of 60 + 6 seconds
    assert "b done 9/9 100 31.00 c" in out
    assert "c waiting -/9 d" in out
    assert "d failed 1/9 20 39.00 about 9 min e" in out
    assert "e stopped 1/9" in out
    assert out.endswith(
        "1 running, 1 done, 1 failed, 1 stopped, 1 waiting d: round 2: the training loss is not finite [see the log]"
    )


def test_a_run_has_one_name_above_and_below(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        made(tmp_path / "photos" / "margin" / name, "failed", rows=2, error="out of memory")
    main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    below = [line.removesuffix(": out of memory") for line in lines if line.endswith(": out of memory")]
    assert [line.split()[0] for line in lines if " failed " in line and "1/9" in line] == below


@pytest.mark.parametrize(("seconds", "words"), [(0, "under 1 min"), (30, "under 1 min"), (31, "about 1 min")])
def test_little_time_is_not_no_time(seconds: float, words: str) -> None:
    assert minutes(seconds) == words


def test_a_long_reason_leaves_the_columns_their_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "a", "failed", rows=2, error="a long reason, " * 50)
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("  a ")] == [
        ["a", "failed", "1/9", "20", "39.00", "about", "9", "min"]
    ]


@pytest.mark.parametrize("width", [100, 80])
def test_long_names_leave_every_column_its_room(tmp_path: Path, width: int) -> None:
    """The runs share no folder, so each name is longer than half of the terminal; it alone takes more lines."""
    folders = [f"{data}/small_cnn-plain-adam_short-usps/kfac_vfe-all_layers/seed12" for data in ("usps", "cifar10")]
    for folder in folders:
        made(tmp_path / folder, "failed", rows=2, error="a long reason, " * 50)
    console = Console(width=width, record=True, file=StringIO())
    console.print(table(runs_under(tmp_path), tmp_path))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert "run state round labelled test error % time left" in [" ".join(line.split()) for line in lines]
    assert [line.split()[1:] for line in lines if "failed" in line and "2 failed" not in line] == [
        ["failed", "1/9", "20", "39.00", "about", "9", "min"]
    ] * 2
    names = "".join(line.split()[0] for line in lines if line.startswith("  ") and line.strip())
    assert all(folder in names for folder in folders)


def test_the_folder_that_all_runs_share_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for strategy in ("random", "badge"):
        made(tmp_path / "usps" / "net" / strategy / "seed0", DONE, rows=10)
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"runs in {tmp_path / 'usps' / 'net'}"
    rows = [line.split()[:2] for line in lines if "seed0" in line]
    assert rows == [["badge/seed0", "done"], ["random/seed0", "done"]]


def test_a_damaged_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "a", DONE, rows=3)
    (tmp_path / "a" / "rounds.csv").write_text("round,labelled\n0")
    code, out, _ = shown(capsys, str(tmp_path))
    assert (code, "a failed -/9" in out, "rounds.csv" in out) == (0, True, True)


def test_a_damaged_state_is_shown_and_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "a", DONE, rows=10)
    (tmp_path / "a" / "state.json").write_text('{"state": "do')
    code, out, _ = shown(capsys, str(tmp_path), "--retry-failed")
    assert (code, "a failed 9/?" in out, "state.json can't be read" in out) == (0, True, True)


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        code, _, err = shown(capsys, str(folder))
        assert code == 2
        assert err.startswith("al-status: ")


QUICK = ["model=usps_cnn", "budget.max_rounds=3", "training.max_checks=1", "training.check_every=2", "strategy=random"]


def test_what_failed_or_was_stopped_is_run_again(tmp_path: Path) -> None:
    """A job that a missing file stopped runs once the file is there; what is done is left alone."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "al_runner.main", "results=out", *QUICK]

    def called(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert called(*run, "name=whole").returncode == 0
    mine = ("dataset=npz", "dataset.path=mine.npz", "budget=digits", "name=mine")
    code = called(*run, "-m", "hydra/launcher=basic", *mine).returncode  # a single run that is refused leaves nothing
    assert code == 1
    states = {folder.folder.parts[-2]: folder.state.state for folder in runs_under(tmp_path)}
    assert states == {"random-whole": DONE, "random-mine": "failed"}
    make = (
        "import numpy as np; from sklearn.datasets import load_digits; d = load_digits();"
        "i = (d.images * 15).astype(np.uint8); l = d.target;"
        "np.savez('mine.npz', train_images=i[:1200], train_labels=l[:1200], test_images=i[1200:], test_labels=l[1200:])"
    )
    assert called(sys.executable, "-c", make).returncode == 0
    again = called(sys.executable, "-m", "al_runner.sweeps.status", "out", "--retry-failed")
    assert again.returncode == 0, again.stderr
    assert "mine.npz does not exist" in re.sub(r"\s+", " ", again.stdout)
    assert {run.state.state for run in runs_under(tmp_path)} == {DONE}
    assert "finished already" not in again.stdout
    assert STOPPED not in called(sys.executable, "-m", "al_runner.sweeps.status", "out").stdout


def test_the_failed_runs_of_a_sweep_are_run_again_as_a_sweep(tmp_path: Path) -> None:
    """Its launcher's settings are kept; the run that was done is left alone."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    sweep = ["-m", "hydra.launcher.cpu.n_jobs=1", "device=cpu", "results=out", *QUICK]
    sweep += ["budget.query=0,20", "name=q${budget.query}", "seed=0,1"]

    def called(*command: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", *command]
        return subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    first = called("al_runner.main", *sweep)
    assert (first.returncode, "2 of 4 jobs failed" in first.stderr) == (1, True), first.stderr
    again = called("al_runner.sweeps.status", "out", "--retry-failed")
    assert again.returncode == 1
    assert "2 jobs in 1 processes" in again.stdout
    assert "2 of 2 jobs failed" in again.stderr


def test_runs_that_were_moved_are_not_run_again_at_their_old_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "old" / "seed0", FAILED, error="a mistake")
    (tmp_path / "old").rename(tmp_path / "new")
    code, _, err = shown(capsys, str(tmp_path / "new"), "--retry-failed")
    assert code == 2
    assert f"seed0 is a copy of {tmp_path / 'old' / 'seed0'}, or was moved from there" in err
