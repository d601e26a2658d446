"""hydra/launcher=lockstep, as a user types it."""

import os
import signal
import subprocess
import time
from io import StringIO
from pathlib import Path

import command
import pytest
import torch
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from recorded import rounds, untimed
from terminal import on_a_terminal

from al_runner.plugins.hydra_plugins.al_runner_lockstep import others_idle
from al_runner.plugins.registered import jobs
from al_runner.sweeps.live import LiveTable

QUICK = ["model=usps_cnn", "budget.max_rounds=3", "training.max_checks=3", "training.check_every=6"]
LOCKSTEP = ["-m", "hydra/launcher=lockstep"]


def short(results: Path, *words: str) -> list[str]:
    """The words of a short run into `results`."""
    return [*words, f"results={results}", *QUICK]


def finished(results: Path, *words: str) -> tuple[int, str]:
    return command.finished(*short(results, *words))


def rows(folder: Path) -> list[dict[str, float]]:
    return [{key: float(value) for key, value in row.items()} for row in untimed(folder)]


def folder_of(results: Path, strategy: str, seed: int) -> Path:
    (folder,) = results.glob(f"*/*/{strategy}/seed{seed}")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, made one after another by Hydra's basic launcher."""
    results = tmp_path_factory.mktemp("alone")
    assert finished(results, "-m", "hydra/launcher=basic", "strategy=random,kfac_vfe", "seed=0,1")[0] == 0
    return results


def require_equal(results: Path, alone: Path, relative: float = 0.0) -> None:
    for strategy in ("random", "kfac_vfe"):
        for seed in (0, 1):
            one, other = folder_of(results, strategy, seed), folder_of(alone, strategy, seed)
            assert (one / "acquired.csv").read_bytes() == (other / "acquired.csv").read_bytes()
            for row, wanted in zip(rows(one), rows(other), strict=True):
                assert row == pytest.approx(wanted, rel=relative, abs=0)


def test_a_sweep_leaves_what_its_runs_leave_alone(alone: Path, tmp_path: Path) -> None:
    code, output = finished(tmp_path, *LOCKSTEP, "strategy=random,kfac_vfe", "seed=0,1")
    assert (code, "all 4 jobs are done" in output) == (0, True)
    require_equal(tmp_path, alone)
    for strategy in ("random", "kfac_vfe"):
        for seed in (0, 1):
            one, other = folder_of(tmp_path, strategy, seed), folder_of(alone, strategy, seed)
            assert sorted(os.listdir(one)) == sorted(os.listdir(other))
            assert (one / "config.yaml").read_bytes() == (other / "config.yaml").read_bytes()
            *header, first, second, third, fourth = (one / "al-run.log").read_text().splitlines()
            parts = [line.partition(f"digits {strategy} seed {seed} | ")[2] for line in header]
            assert [part.partition(" ")[0] for part in parts] == ["data:", "net:", "4"]
            lines = [first, second, third, fourth]
            assert all(f"digits {strategy} seed {seed} | round {i}/3" in line for i, line in enumerate(lines))


def test_a_stacked_sweep_buys_the_same_images(alone: Path, tmp_path: Path) -> None:
    """Weights agree to float32 rounding, so errors agree and losses nearly."""
    code, _ = finished(tmp_path, *LOCKSTEP, "strategy=random,kfac_vfe", "seed=0,1", "hydra.launcher.max_stacked=8")
    assert code == 0
    require_equal(tmp_path, alone, relative=1e-4)


def test_a_job_that_fails_leaves_the_others_running_and_is_named_at_the_end(tmp_path: Path) -> None:
    """One has a query of none, one diverges in the middle of a stack; of a job named twice nothing begins."""
    sgd = ["training.optimizer._target_=torch.optim.SGD", "~training.optimizer.fused"]
    code, output = finished(
        tmp_path,
        *LOCKSTEP,
        "strategy=random",
        "training.optimizer.lr=0.1,1e30",
        "name=lr${training.optimizer.lr}",
        *sgd,
    )
    assert code == 1
    assert "1 of 2 jobs failed" in output
    assert "training.optimizer.lr=1e+30" in output.splitlines()[-1]
    assert "round 0: the training loss is not finite at step" in output.splitlines()[-1]
    assert len(rows(folder_of(tmp_path, "random-lr0.1", 0))) == 4
    code, output = finished(tmp_path, *LOCKSTEP, "strategy=random", "budget.query=30,30", "name=q${budget.query}")
    assert code == 1
    assert "twice; name it once" in output
    assert not list(tmp_path.glob("*/*/random-q30"))
    code, output = finished(tmp_path, *LOCKSTEP, "strategy=random", "budget.query=0,30", "name=q${budget.query}")
    assert code == 1
    assert "1 of 2 jobs failed" in output
    assert "budget.query is 0" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert len(rows(folder_of(tmp_path, "random-q30", 0))) == 4


def test_a_killed_sweep_resumes_every_job(alone: Path, tmp_path: Path) -> None:
    process = command.started(*short(tmp_path, *LOCKSTEP, "strategy=random,kfac_vfe", "seed=0,1"))
    while rounds(tmp_path) < 6 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 6 <= rounds(tmp_path) < 16
    code, output = finished(tmp_path, *LOCKSTEP, "strategy=random,kfac_vfe", "seed=0,1")
    assert (code, "resumed after round" in output) == (0, True)
    require_equal(tmp_path, alone)
    code, output = finished(tmp_path, *LOCKSTEP, "strategy=random,kfac_vfe", "seed=0,1")
    assert (code, output.count("finished already")) == (0, 4)


def test_an_interrupted_sweep_says_how_to_go_on(tmp_path: Path) -> None:
    process = command.started(*short(tmp_path, *LOCKSTEP, "strategy=random", "seed=range(0,4)"))
    while rounds(tmp_path) < 1 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    assert output.splitlines()[-1] == "al-run: interrupted; the same command resumes where it stopped"
    assert "never awaited" not in output


def test_a_stack_of_less_than_one_is_refused(tmp_path: Path) -> None:
    code, output = finished(tmp_path, *LOCKSTEP, "hydra.launcher.max_stacked=0", "seed=0,1")
    assert (code, "hydra.launcher.max_stacked is 0; it must be 1 or more, or null" in output) == (1, True)


def test_each_job_has_its_own_environment_and_working_directory(tmp_path: Path) -> None:
    """As with the other launchers: hydra.job.env_set holds while the job runs, hydra.job.chdir moves it."""
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "from al_runner.strategies.random import Random\n"
        "class Spy(Random):\n"
        "    def select(self, fitted, pool, n, rng):\n"
        "        with open('seen.txt', 'a') as file:\n"
        "            file.write(os.environ['MINE'] + '\\n')\n"
        "        return super().select(fitted, pool, n, rng)\n"
    )
    more = ["strategy=random", "strategy._target_=mine.Spy", "seed=0,1", "hydra.job.chdir=true"]
    words = short(tmp_path / "out", *LOCKSTEP, *more, "+hydra.job.env_set.MINE=job${hydra:job.num}")
    environment = {**command.ENVIRONMENT, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.run(command.command(*words), cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    for seed in (0, 1):
        assert (folder_of(tmp_path / "out", "random", seed) / "seen.txt").read_text() == f"job{seed}\n" * 3


def test_a_terminal_shows_one_table_and_the_logs_have_the_lines(tmp_path: Path) -> None:
    ended = on_a_terminal(command.command(*short(tmp_path, *LOCKSTEP, "strategy=random", "seed=0,1")))
    text = ended.plain
    assert (ended.code, ended.same) == (0, True)
    assert "digits random 2/2 3 of 3 80 " in " ".join(text.split())
    assert "8 of 8 rounds" in text
    assert "| round" not in text
    errors = [100 * rows(folder_of(tmp_path, "random", seed))[-1]["test_error"] for seed in (0, 1)]
    assert f"{sum(errors) / 2:.2f} ± {abs(errors[0] - errors[1]) / 2**0.5:.2f}" in text
    assert (
        len((folder_of(tmp_path, "random", 1) / "al-run.log").read_text().splitlines()) == 3 + 4
    )  # the header, then a line for each round


class Screen:
    """Takes the place of rich's live display."""

    def update(self, table: object, refresh: bool) -> None:
        self.table = table


def test_the_table_tells_waiting_running_done_and_failed_runs_apart() -> None:
    from rich.console import Console

    table = LiveTable(Screen(), 4)  # type: ignore[arg-type]
    row = {"round": 0, "labelled": 10, "test_error": 0.5, "fit_seconds": 1.0, "select_seconds": ""}
    for seed in range(3):
        table.opened(f"usps margin seed {seed}", 3, [])
    table.measured("usps margin seed 0", 3, row)
    table.measured("usps margin seed 1", 3, {**row, "round": 2, "labelled": 30, "test_error": 0.3})
    table.failed("usps bald seed 0", "no such learner")
    console = Console(width=100, record=True, file=StringIO())
    console.print(table.table(60))
    text = " ".join(console.export_text().split())
    assert "usps margin 1/3 0-2 of 2 10-30 40.00 ± 14.14" in text
    assert "usps bald 0/1, 1 failed" in text
    assert "4 of 9 rounds, 0:01:00, about 0:02:30 left" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_on_a_cpu_a_sweep_runs_in_processes_unless_told_otherwise(tmp_path: Path) -> None:
    code, output = finished(tmp_path, "-m", "strategy=random", "seed=0,1")
    assert (code, "in 2 processes" in output or "in 1 processes" in output, "lock-step" in output) == (0, True, False)


def test_hydra_knows_the_launchers() -> None:
    import al_runner.main  # noqa: F401 - makes them known

    known = {plugin.__name__ for plugin in Plugins.instance().discover(Launcher)}
    assert {"AutoLauncher", "LockstepLauncher", "ProcessesLauncher"} <= known


def test_with_several_gpus_lock_step_says_that_it_uses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And processes that shall all use one GPU are not as many as there are GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert "on one of 4 GPUs; hydra/launcher=processes uses them all" in others_idle("auto")
    assert others_idle("cuda:1") == others_idle("cpu") == ""
    assert [jobs(device) for device in ("auto", "cuda", "cuda:1")] == [4, 4, 1]
