"""hydra/launcher=ray on a Ray of this machine, started for real."""

import signal
import time
from pathlib import Path

import psutil
import pytest
from command import command, digits8, started
from recorded import untimed
from terminal import on_a_terminal, require_one_table

pytest.importorskip("ray", reason="Ray is not installed here; pip install 'al-runner[ray]'")
pytestmark = pytest.mark.ray

SWEEP = ["strategy=random,uncertainty", "seed=0,1", "model=usps_cnn", "budget.max_rounds=7"]
ROUNDS = ["training.check_every=40", "training.max_checks=8", "training.patience=8"]
RAY = ["hydra/launcher=ray", "+hydra.launcher.init.num_cpus=2", "+hydra.launcher.init.include_dashboard=false"]


def workers(parent: int) -> list[psutil.Process]:
    """Processes below `parent` that carry out runs, none where it has ended."""
    if not psutil.pid_exists(parent):
        return []
    below = psutil.Process(parent).children(recursive=True)
    return [process for process in below if "hydra/sweeper=fed" in process.cmdline()]


def test_a_sweep_on_ray_survives_a_killed_process_and_names_what_fails(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    reference = started("-m", *SWEEP, *ROUNDS, f"results={here}", "hydra/launcher=basic")
    assert reference.communicate()[0] is not None
    assert reference.returncode == 0
    sweep = started("-m", *SWEEP, *ROUNDS, f"results={there}", *RAY)
    while not list(there.rglob("rounds.csv")) and sweep.poll() is None:
        time.sleep(0.05)
    victims = workers(sweep.pid) if sweep.poll() is None else []
    for victim in victims[:1]:
        victim.send_signal(signal.SIGKILL)
    output, _ = sweep.communicate()
    assert victims, output
    assert (sweep.returncode, "all 4 jobs are done" in output) == (0, True), output
    folders = [file.parent for file in here.rglob("rounds.csv")]
    assert len(folders) == 4
    for folder in folders:
        assert untimed(there / folder.relative_to(here)) == untimed(folder)
    failing = started(
        "-m", *RAY, "strategy=random", "budget.query=0,20", "name=q${budget.query}", f"results={there}", *ROUNDS
    )
    output, _ = failing.communicate()
    assert failing.returncode == 1
    assert "1 of 2 jobs failed" in output
    assert "budget.query is 0; it must be 1 or more" in output.splitlines()[-1]


def test_a_sweep_on_ray_is_one_table_on_a_terminal(tmp_path: Path) -> None:
    words = ["-m", "device=cpu", *RAY, "seed=0,1", "strategy=random"]
    require_one_table(on_a_terminal(command(*digits8(tmp_path, *words))), tmp_path)
