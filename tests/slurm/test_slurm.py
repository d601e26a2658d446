"""A sweep on a Slurm of one node, started for these tests, with the faults of a real cluster."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recorded import untimed

from al_runner.record.state import DONE, RUNNING, STOPPED, read

HERE = Path(__file__).parent
NEEDED = ("slurmctld", "slurmd", "sbatch", "slurmdbd", "munged", "mariadbd")
MISSING = [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="Slurm's daemons are started as root"),
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed here (no {', '.join(MISSING)}); see .ci/slurm"),
]

# The longest ones are there when Slurm looks at its time limits, which it does twice a minute.
SWEEP = ["strategy=random", "seed=0,1", "budget.max_rounds=199,29,19,9", "name=r${budget.max_rounds}"]
LONGEST, MIDDLING = "random-r199", "random-r?9"
ROUNDS = [
    "model=usps_cnn",
    "budget.query=5",
    "training.check_every=40",
    "training.max_checks=8",
    "training.patience=8",
]  # half a second each


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment for commands that talk to it."""
    folder = tmp_path_factory.mktemp("slurm")
    path = f"{os.environ['PATH']}:/usr/sbin"
    environment = {**os.environ, "PATH": path, "SLURM_CONF": f"{folder}/slurm.conf", "OMP_NUM_THREADS": "1"}
    try:
        subprocess.run([HERE / "start.sh", folder], check=True, env=environment)
        os.environ.update(SLURM_CONF=environment["SLURM_CONF"], PATH=path)  # for al_runner.record.state.read
        yield environment
    finally:
        subprocess.run([HERE / "stop.sh", folder], check=False, env=environment)


def al_run(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "al_runner.main", "-m", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def al_status(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "al_runner.sweeps.status", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def until(what: str, condition: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.2)


def recorded(folder: Path) -> int:
    file = folder / "rounds.csv"
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


def array_task(folder: Path) -> str:
    """Slurm's own name of the job that a run belongs to."""
    state = read(folder)
    assert state is not None
    home, _, number = state.job.rpartition("/")
    listed = subprocess.run(
        ["squeue", "-h", "-r", "-o", "%F_%K", f"--name={Path(home).name}"], capture_output=True, text=True, check=True
    )
    (job,) = (word for word in listed.stdout.split() if word.endswith(f"_{number}"))
    return job


def in_the_middle(folders: list[Path]) -> list[Path]:
    """Runs that have recorded something and are far from their end."""
    states = [(folder, read(folder), recorded(folder)) for folder in folders]
    return [f for f, state, rows in states if rows and state and state.state == RUNNING and rows + 10 <= state.rounds]


def state_of(folder: Path) -> str:
    state = read(folder)
    assert state is not None
    return state.state


def slurm(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def restarts(folder: Path) -> int:
    return (folder / "provenance.json").read_text().count('"started"')


def test_a_sweep_survives_requeues_preemption_a_time_limit_and_a_cancelled_job(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    al_run(cluster, *SWEEP, *ROUNDS, f"results={here}", "hydra/launcher=processes")
    limits = ["hydra.launcher.minutes=20", "hydra.launcher.signal_seconds=50"]
    sweep = [*SWEEP, *ROUNDS, f"results={there}", "hydra/launcher=slurm", *limits]
    assert "8 runs in 8 jobs" in al_run(cluster, *sweep)
    folders = sorted(file.parent for file in there.rglob("state.json"))
    assert len(folders) == 8
    assert "8 of 8 runs are done or in the queue already" in al_run(cluster, *sweep)
    hurt: list[Path] = []

    def next_victim(among: str) -> Path:
        found: list[Path] = []

        def look() -> bool:
            found[:] = [f for f in in_the_middle(folders) if f not in hurt and f.parent.match(among)]
            return bool(found)

        until(f"a run of {among} in its middle", look)
        hurt.append(found[0])
        return found[0]

    limited = next_victim(LONGEST)
    slurm("scontrol", "update", f"JobId={array_task(limited)}", "TimeLimit=1")
    for _ in range(2):
        slurm("scontrol", "requeue", array_task(next_victim(MIDDLING)))
    cancelled = next_victim(MIDDLING)
    slurm("scancel", array_task(cancelled))
    until("it is out of the queue", lambda: state_of(cancelled) == STOPPED)
    next_victim(LONGEST)
    slurm("sbatch", "-p", "high", "-N1", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 2")
    until("its time limit has ended it, and it has begun again", lambda: restarts(limited) >= 2)
    slurm("scontrol", "update", f"JobId={array_task(limited)}", "TimeLimit=20")

    others = [folder for folder in folders if folder != cancelled]
    until("seven are done", lambda: all(state_of(f) == DONE for f in others))
    shown = al_status(cluster, str(there))
    assert "7 done, 1 stopped" in shown
    assert "Slurm: CANCELLED" in shown
    assert al_status(cluster, str(there), "--retry-failed").count("1 runs in 1 jobs") == 1
    until("the eighth is done", lambda: state_of(cancelled) == DONE)

    for folder in folders:
        twin = here / folder.relative_to(there)
        assert untimed(folder) == untimed(twin)
        assert (folder / "acquired.csv").read_bytes() == (twin / "acquired.csv").read_bytes()
    assert [restarts(folder) >= 2 for folder in hurt] == [True] * 5


def test_several_runs_in_one_job_and_one_that_fails(cluster: dict[str, str], tmp_path: Path) -> None:
    """Three runs in two jobs; a failed one shows its last line, and does not come back as done."""
    words = ["strategy=random", "model=usps_cnn", "budget.max_rounds=1", "training.max_checks=1", f"results={tmp_path}"]
    sweep = [*words, "budget.query=0,20,30", "name=q${budget.query}", "hydra/launcher=slurm"]
    command = [sys.executable, "-m", "al_runner.main", "-m", *sweep, "hydra.launcher.runs_per_job=2"]
    done = subprocess.run(
        [*command, "hydra.launcher.wait=true"], env=cluster, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "3 runs in 2 jobs" in done.stdout
    assert "1 of 3 jobs failed" in done.stderr
    assert "budget.query is 0; it must be 1 or more" in done.stderr.splitlines()[-1]
    assert "2 done, 1 failed" in al_status(cluster, str(tmp_path))
    assert "1 runs in 1 jobs" in subprocess.run(command, env=cluster, check=True, capture_output=True, text=True).stdout
