"""A job of a sweep gets the configuration that Hydra alone would give it, without reading the files again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from al_runner.settings import sweep_jobs
from al_runner.settings.groups import conf_dir
from al_runner.settings.overrides import NoOption

Loaded = tuple[ConfigLoaderImpl, DictConfig]
WORDS = ["strategy=random,badge", "seed=0,1"]


@pytest.fixture
def loaded() -> Iterator[Loaded]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        assert isinstance(loader, ConfigLoaderImpl)
        yield loader, loader.load_configuration("config", [*WORDS, "hydra.job.name=sweep"], RunMode.MULTIRUN)
        HydraConfig.instance().cfg = None


JOBS = [
    ["strategy=random", "seed=0"],
    ["strategy=random", "seed=1"],
    ["seed=1", "strategy=random"],
    ["strategy=badge", "learner=dropout", "model=gal2017_cnn", "seed=1", "name='a b'", "learner.samples=3"],
    ["strategy=kfac_vfe", "strategy.target=null", "training=fixmatch", "training.optimizer.lr=0.5"],
    ["+strategy.extra=1", "strategy.extra=2", "seed=3"],
    ["seed=3", "~budget.query"],
    ["experiment=gal2017_mnist", "budget.max_labelled=100", "seed=2"],
    ["dataset={name:own,path:x}", "seed=2"],
    ["pool=long_tailed", "seed=5", "results=a=b", "name=1e5", "budget.initial=all"],
    ["hydra.verbose=true", "seed=1"],
    ["+logger=csv", "seed=1"],
    [],
]


@pytest.mark.parametrize("words", JOBS, ids=" ".join)
def test_a_job_has_the_configuration_that_hydra_gives_it(loaded: Loaded, words: list[str]) -> None:
    """Twice, because the first may have changed what the second is made of."""
    loader, sweep = loaded
    expected = outcome(loader, sweep, words, alone=True)
    assert outcome(loader, sweep, words) == expected
    assert outcome(loader, sweep, ["seed=77", *words]) == outcome(loader, sweep, ["seed=77", *words], alone=True)
    assert outcome(loader, sweep, words) == expected


def outcome(loader: ConfigLoaderImpl, sweep: DictConfig, words: list[str], alone: bool = False) -> object:
    """The job's configuration as a container, by us or by Hydra alone, or its error."""
    load = sweep_jobs._load_as_hydra if alone else sweep_jobs.load
    try:
        config = load(loader, sweep, words)
    except (HydraException, AssertionError) as error:
        return type(error), str(error)
    assert OmegaConf.is_struct(config)
    assert not OmegaConf.is_readonly(config)
    return OmegaConf.to_container(config)


def test_groups_of_another_folder_are_found(loaded: Loaded, tmp_path: Path) -> None:
    loader, _ = loaded
    (tmp_path / "weather").mkdir()
    (tmp_path / "weather" / "rain.yaml").write_text("name: rain\n")
    sweep = loader.load_configuration("config", [f"hydra.searchpath=[file://{tmp_path}]"], RunMode.MULTIRUN)
    assert sweep_jobs.load(loader, sweep, ["+weather=rain", "seed=4"]).weather.name == "rain"


@pytest.mark.parametrize("words", [["seed=1", "strategy=nothing"], ["sede=1"], ["seed=0,1"], ["strategy="]])
def test_what_hydra_refuses_is_refused(loaded: Loaded, words: list[str]) -> None:
    loader, sweep = loaded
    errors = []
    for load in (sweep_jobs._load_as_hydra, sweep_jobs.load):
        with pytest.raises((HydraException, NoOption)) as caught:
            load(loader, sweep, words)
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]


def test_jobs_that_differ_in_values_read_no_file_again(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, sweep = loaded
    read, real = [], ConfigRepository.load_config

    def load_config(repository: ConfigRepository, config_path: str) -> object:
        read.append(config_path)
        return real(repository, config_path)

    monkeypatch.setattr(ConfigRepository, "load_config", load_config)
    counts = []
    for words in (["strategy=random", "seed=0"], ["strategy=random", "seed=1"], ["strategy=badge", "seed=1"]):
        before = len(read)
        assert loader.load_sweep_config(sweep, words).seed == int(words[1][-1])
        counts.append(len(read) - before)
    assert counts[0] > 0
    assert counts[1] == 0
    assert counts[2] > 0
