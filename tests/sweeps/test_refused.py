"""Sweeps that can't begin leave nothing, and what lies where they are started can't hurt them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import QUICK, Command

SLURM = ["-m", "hydra/launcher=slurm", "strategy=random", "seed=range(0,4)"]


def test_without_slurm_nothing_is_left(al_run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    code, output = al_run(*SLURM, f"results={tmp_path / 'results'}")
    assert (code, "there is no sbatch here; submit from a machine of the cluster" in output) == (1, True)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("failed", [False, True], ids=["new", "failed_before"])
def test_what_slurm_refuses_is_as_it_was(  # type: ignore[no-untyped-def]
    al_run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failed: bool,
) -> None:
    results, programs = tmp_path / "results", tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text("#!/bin/sh\necho 'no such partition' >&2; exit 1\n")
    (programs / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    if failed:
        code, _ = al_run("-m", "hydra/launcher=basic", "strategy=random", "budget.query=0", f"results={results}")
        assert code == 1
    before = {file: file.read_bytes() for file in results.rglob("*") if file.is_file()}
    code, output = al_run(*SLURM, f"results={results}")
    assert (code, "sbatch refused the sweep: no such partition; change hydra.launcher.*" in output) == (1, True)
    after = {file: file.read_bytes() for file in results.rglob("*") if file.is_file()}
    multirun = results / "multirun.yaml"  # Hydra's own, of every sweep
    assert {**after, multirun: b""} == {**before, multirun: b""}
    assert not list(results.glob(".slurm"))


def test_one_by_one_the_failed_jobs_are_listed_at_the_end(al_run: Command, tmp_path: Path) -> None:
    words = ["strategy=random", "budget.query=0,20,-1", "name=q${budget.query}", *QUICK, f"results={tmp_path}"]
    code, output = al_run("-m", "hydra/launcher=basic", *words)
    assert code == 1
    last = output.splitlines()[-3:]
    assert "2 of 3 jobs failed; the others are recorded" in last[0]
    assert "budget.query=0" in last[1]
    assert last[1].endswith("budget.query is 0; it must be 1 or more")
    assert last[2].endswith("budget.query is -1; it must be 1 or more")
    assert "Traceback" not in output
    assert len(list(tmp_path.rglob("rounds.csv"))) == 1


def test_a_user_s_files_hide_no_module_and_may_lie_beside_their_yaml(tmp_path: Path) -> None:
    """A sweep's workers start in a folder with a queue.py; the strategy's module is in the group of --config-dir."""
    for name in ("queue", "random", "types", "hydra"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hidden')\n")
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "twin.yaml").write_text("_target_: my_twin.Twin\n")
    (tmp_path / "mine" / "strategy" / "my_twin.py").write_text("from my_base import Random as Twin\n")
    (tmp_path / "mine" / "my_base.py").write_text("from al_runner.strategies.random import Random\n")
    words = ["-m", "--config-dir", "mine", "strategy=twin", "seed=0,1", "hydra/launcher=processes", *QUICK]
    paths = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]  # an empty entry would be the folder here
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-P", "-m", "al_runner.main", *words, "results=out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "out").rglob("rounds.csv"))) == 2


def test_a_module_that_is_nowhere_is_named_with_the_places_for_it(al_run: Command, tmp_path: Path) -> None:
    (tmp_path / "conf" / "strategy").mkdir(parents=True)
    (tmp_path / "conf" / "strategy" / "mine.yaml").write_text("_target_: mine.Mine\n")
    code, output = al_run("--config-dir", str(tmp_path / "conf"), "strategy=mine", f"results={tmp_path / 'out'}")
    assert code == 1
    assert (
        "there is no module mine; mine.py may lie in the folder where al-run is started, in that of --config-dir"
        in output
    )
    assert not list((tmp_path / "out").rglob("*"))


def test_a_folder_of_the_module_s_name_is_no_module(al_run: Command, tmp_path: Path) -> None:
    (tmp_path / "mine_too" / "strategy").mkdir(parents=True)
    (tmp_path / "mine_too" / "strategy" / "mine.yaml").write_text("_target_: mine_too.Mine\n")
    code, output = al_run("--config-dir", str(tmp_path / "mine_too"), "strategy=mine", f"results={tmp_path / 'out'}")
    assert code == 1
    assert "there is no module mine_too; mine_too.py may lie in the folder" in output


def test_a_name_that_a_module_does_not_have_is_answered_with_one_that_it_has(al_run: Command, tmp_path: Path) -> None:
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "typo.yaml").write_text("_target_: my_doubts.Dout\n")
    (tmp_path / "my_doubts.py").write_text("class Doubt:\n    pass\n")
    code, output = al_run("--config-dir", str(tmp_path), "strategy=typo", f"results={tmp_path / 'out'}")
    assert (code, "'my_doubts.Dout': my_doubts has no Dout; it has Doubt" in output) == (1, True)
    (tmp_path / "strategy" / "random.yaml").write_text("_target_: my_doubts.Doubt\n")
    code, output = al_run("--config-dir", str(tmp_path), "strategy=random", f"results={tmp_path / 'out'}")
    assert (code, "has the name of al-runner's own strategy/random.yaml" in output) == (1, True)


def test_a_home_folder_in_a_yaml_is_the_home_folder(  # type: ignore[no-untyped-def]
    al_run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nresults: ~/runs\n")
    code, _ = al_run("--config-dir", "conf", "experiment=mine", "strategy=random", *QUICK)
    assert code == 0
    assert len(list((tmp_path / "home" / "runs").rglob("rounds.csv"))) == 1
    assert not (tmp_path / "~").exists()


def test_no_pool_can_be_asked_for(al_run: Command, tmp_path: Path) -> None:
    """Alone, and as one of a sweep's choices."""
    quick = ["strategy=random", *QUICK, f"results={tmp_path}"]
    assert al_run("pool=null", "logger=null", "experiment=null", *quick)[0] == 0
    assert al_run("-m", "hydra/launcher=basic", "pool=null,label_noise", *quick)[0] == 0
    folders = sorted(file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("rounds.csv"))
    assert folders == ["digits", "digits-label_noise"]
