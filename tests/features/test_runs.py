"""al-run with features= chooses, trains and records."""

import json

import torch
from configs import names
from dataset_files import REPOSITORY
from hydra.utils import instantiate
from omegaconf import OmegaConf

from al_runner.features.base import Features
from al_runner.record.provenance import fingerprint
from al_runner.testing import toy
from al_runner.types import DataSet

QUICK = ("dataset=digits", "budget.max_rounds=2", "training.max_checks=2", "budget.initial=20", "device=cpu")
SMALL = ("features.centres=8", "features.samples=500")


def test_every_choice_builds():
    assert {"pixels", "patches", "efficientnet_lite0", "torchvision", "timm", "own"} == {*names("features")}
    for name in names("features"):
        choice = instantiate(OmegaConf.load(REPOSITORY / "conf" / "features" / f"{name}.yaml"))
        assert isinstance(choice, Features)
        assert choice.use == "inputs"


def test_the_net_trains_on_features(tmp_path, al_run):
    words = [*QUICK, *SMALL, "features=patches", "model=linear_probe", "strategy=margin"]
    words += [f"results={tmp_path / 'out'}", f"data_root={tmp_path / 'data'}", "save_weights=last"]
    code, output = al_run(*words)
    assert (code, "features: patches-" in output) == (0, True), output
    (run,) = (tmp_path / "out").rglob("provenance.json")
    assert run.relative_to(tmp_path / "out").parts[0] == "digits-patches"
    (kept,) = (tmp_path / "data" / "features").glob("*.npy")
    recorded = json.loads(run.read_text())[0]["file"]
    assert recorded["features"] == f"features/{kept.name}" and recorded["name"] == "digits"
    # Another seed finds them made; the same run again is finished.
    code, output = al_run(*words, "seed=1")
    assert (code, "features: " in output) == (0, False), output
    assert "nothing to do" in al_run(*words)[1]


def test_strategies_choose_by_features_beside_the_images(tmp_path, al_run):
    words = [*QUICK, *SMALL, "features=patches", "features.use=beside", "strategy=typiclust", "model=usps_cnn"]
    words += [f"results={tmp_path / 'out'}", f"data_root={tmp_path / 'data'}", "budget.initial_by=typiclust"]
    code, output = al_run(*words)
    assert code == 0, output
    assert len(list((tmp_path / "out").rglob("rounds.csv"))) == 1


def test_a_variant_that_is_made_of_another_strategy_s_file_can_choose_the_first_images(tmp_path, al_run):
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "near.yaml").write_text("defaults: [typiclust, _self_]\nneighbours: 3\n")
    words = [*QUICK, *SMALL, f"--config-dir={tmp_path / 'mine'}", "features=patches", "budget.initial_by=near"]
    code, output = al_run(*words, "strategy=random", f"results={tmp_path / 'out'}", f"data_root={tmp_path / 'data'}")
    assert code == 0, output


def test_a_mistake_is_told_before_any_training(tmp_path, al_run):
    words = [*QUICK, f"results={tmp_path / 'out'}", f"data_root={tmp_path / 'data'}"]
    for more, message in (
        (["features=patches", "features.side=8"], "set features.side below 8"),
        (["features=own"], "needs features.net=MODULE.NAME"),
        (["features=patches", "features.use=both"], "features.use is 'both'"),
        (["features=patch"], "did you mean features=patches?"),
    ):
        code, output = al_run(*words, *more)
        assert code == 1
        assert message in output
        assert "Traceback" not in output
    assert not any((tmp_path / "out").rglob("*"))


def test_a_fingerprint_sees_features_beside_the_images():
    data = toy.data_set()
    features = torch.rand(len(data.images), 3)

    def beside(values: torch.Tensor) -> str:
        return fingerprint(
            DataSet(data.images, data.labels, data.train, data.val, data.test, data.classes, features=values)
        )

    assert len({fingerprint(data), beside(features), beside(features + 1)}) == 3
