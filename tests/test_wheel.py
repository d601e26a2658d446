"""What is installed from a wheel works from any folder, with its own configuration."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["-q", "--no-deps", "--no-build-isolation", "-w", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, REPOSITORY], check=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(site: Path, cwd: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "al_runner.main", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def test_the_wheel_brings_configuration_and_plug_ins(site: Path, tmp_path: Path) -> None:
    probe = "import al_runner.main as r; print(r.__file__, r.conf_dir())"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    ).stdout.split()
    assert where == [str(site / "al_runner" / "main.py"), str(site / "al_runner" / "conf")]
    assert "kfac_vfe" in run(site, tmp_path, "--help")
    quick = ["budget.max_rounds=1", "training.max_checks=1", "training.check_every=1", "strategy=random"]
    output = run(site, tmp_path, "-m", *quick, "seed=0,1")
    assert "all 2 jobs are done" in output
    assert len(list((tmp_path / "outputs").rglob("rounds.csv"))) == 2


def test_the_wheel_holds_nothing_else(site: Path) -> None:
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"al_runner"}
    assert not list(site.rglob("*.pyc"))
