"""What the commands do where nobody reads their output, or only its first line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = {
    "al-plot": "al_runner.analysis.cli",
    "al-compare": "al_runner.analysis.cli_compare",
    "al-report": "al_runner.analysis.cli_report",
    "al-status": "al_runner.sweeps.status",
}
RUN = ["training.max_checks=2", "training.check_every=10", "budget.max_rounds=2", "strategy=random", "seed=0,1"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "al_runner.main", "-m", "hydra/launcher=basic", *RUN, f"results={folder}"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_nobody_reads_on(results: Path, name: str) -> None:
    """The pipe is closed before the command prints; what it writes is written all the same."""
    written = {"al-plot": "plots/results.csv", "al-compare": "compare/compare.md", "al-report": "report.html"}
    for file in written.values():
        (results / file).unlink(missing_ok=True)
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", COMMANDS[name], str(results)]
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr, "Broken pipe" in done.stderr) == (1, False, False), done.stderr
    assert name == "al-status" or (results / written[name]).exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-m", COMMANDS[name], str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    assert "nowhere" in line
