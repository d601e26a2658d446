"""A run's name, spelled once: as al-run's configuration writes folders, and back."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

import al_runner.main  # noqa: F401 - registers the resolvers of conf/config.yaml
from al_runner.errors import UsageError
from al_runner.record.run_id import RunId, curve_name

CONF = Path(__file__).parents[2] / "conf"
RUN = RunId("usps", "usps_cnn", "plain", "adam8", "query40", "kfac_vfe", "maximise", 3)


def test_every_form_of_a_name() -> None:
    assert RUN.curve == "kfac_vfe-maximise"
    assert RUN.title == "usps kfac_vfe-maximise seed 3"
    assert str(RUN.folder) == "usps/usps_cnn-plain-adam8-query40/kfac_vfe-maximise/seed3"
    assert RUN._replace(name="").curve == "kfac_vfe"
    assert str(RunId("cars", "", "", "", "", "ours", "", 1).folder) == "cars/ours/seed1"
    assert curve_name("random", "", "plain") == "random-plain"


def test_it_is_read_back_from_what_was_written() -> None:
    assert RunId.of({**RUN._asdict(), "round": 5}) == RUN
    for wrong, said in (({"seed": "3"}, r"run\.seed is '3', not int"), ({"name": None}, r"run\.name is None, not str")):
        with pytest.raises(UsageError, match=said):
            RunId.of(RUN._asdict() | wrong)
    with pytest.raises(UsageError, match=r"run\.seed is True, not int"):
        RunId.of(RUN._asdict() | {"seed": True})


def test_the_folders_of_the_configuration_are_those_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """conf/config.yaml spells the folder too; where that changes, this must follow."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        words = ["dataset=usps", "model=usps_cnn", "strategy=margin", "seed=7", "name=v2", "budget.query=40"]
        cfg = compose("config", words, return_hydra_config=True)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)
    run = RunId.of(cfg.run)
    assert (run.strategy, run.name, run.seed) == ("margin", "v2", 7)
    assert cfg.hydra.run.dir == f"{cfg.results}/{run.folder}"
    assert cfg.hydra.sweep.subdir == str(run.folder)
