import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import ENVIRONMENT
from dataset_files import REPOSITORY, dataset_settings
from filelock import FileLock
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from al_runner.types import DataSet

RAW = ("MNIST", "usps.bz2", "usps.t.bz2")

Python = Callable[..., "subprocess.Popen[str]"]
Load = Callable[..., DataSet]


@pytest.fixture(scope="session")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AL_TEST_DATA, or a folder into which the original files of MNIST and USPS are unpacked once a session."""
    given = os.environ.get("AL_TEST_DATA")
    unpack = REPOSITORY.parent / "shared" / "data" / "unpack.py"
    if given:
        if not all((Path(given) / name).exists() for name in RAW):
            pytest.skip(f"AL_TEST_DATA={given} lacks one of {', '.join(RAW)}")
        return Path(given).resolve()
    if not unpack.exists():
        pytest.skip("no original files of MNIST and USPS: name their folder in AL_TEST_DATA")
    session = tmp_path_factory.getbasetemp()  # of one worker, where pytest-xdist has several
    folder = (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "raw"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = folder.with_name("raw.partial")
            subprocess.run([sys.executable, str(unpack), str(partial), "mnist", "usps"], check=True)
            partial.rename(folder)
    return folder


@pytest.fixture
def raw_root(raw_data: Path, tmp_path: Path) -> Path:
    """A new data_root that holds the original files and nothing prepared."""
    root = tmp_path / "data_root"
    root.mkdir()
    for name in RAW:
        (root / name).symlink_to(raw_data / name)
    return root


@pytest.fixture
def load() -> Load:
    """The data set of conf/dataset/<name>.yaml, some of its keys replaced."""

    def load(name: str, data_root: Path, *overrides: str) -> DataSet:
        settings = OmegaConf.merge(OmegaConf.create(dataset_settings(name)), OmegaConf.from_dotlist(list(overrides)))
        assert isinstance(settings, DictConfig)
        return instantiate(settings, data_root=str(data_root))

    return load


@pytest.fixture
def python() -> Python:
    """Starts a Python of its own on a program text; `communicate()` waits for it."""

    def python(program: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**ENVIRONMENT, **environment},
        )

    return python
