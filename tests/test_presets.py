"""Every preset fits its data set: the run is built and passes all checks, up to the first training.

The images are noise, of each data set's real sizes and with its numbers of classes.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from al_runner.api.compose import composed
from al_runner.data import vision
from al_runner.data.arrays import Arrays
from al_runner.job.build import build, loaded
from al_runner.job.placed import forget
from al_runner.loop.experiment import Experiment
from al_runner.settings.groups import conf_dir

SIZES = {  # training images, test images, shape, classes
    "mnist": (60_000, 10_000, (28, 28), 10),
    "usps": (7_291, 2_007, (16, 16), 10),
    "cifar10": (50_000, 10_000, (32, 32, 3), 10),
    "cifar100": (50_000, 10_000, (32, 32, 3), 100),
    "svhn": (73_257, 26_032, (32, 32, 3), 10),
}


@cache
def noise(name: str) -> Arrays:
    train, test, shape, classes = SIZES[name]
    images = np.random.default_rng(0).integers(0, 256, (train + test, *shape), dtype=np.uint8)
    labels = np.arange(train + test) % classes
    names = np.array([str(label) for label in range(classes)])
    return Arrays(images[:train], labels[:train], images[train:], labels[train:], names)


@pytest.fixture(autouse=True)
def _noise_for_images(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def prepared(data_root: str, name: str, make: Callable[[], Arrays]) -> Arrays:
        return noise(name)

    monkeypatch.setattr(vision, "prepared", prepared)
    yield
    loaded.cache_clear()
    forget()


def built(folder: Path, *words: str) -> Experiment:
    with composed([*words, "seed=0", "device=cpu", f"data_root={folder}"]) as cfg:
        return build(cfg, torch.device("cpu"))


@cache
def presets() -> dict[str, list[str]]:
    """The names of all presets, by the name of their data set."""
    names: dict[str, list[str]] = {}
    for file in sorted((conf_dir() / "experiment").glob("*.yaml")):
        with composed([f"experiment={file.stem}"]) as cfg:
            names.setdefault(cfg.dataset.name, []).append(file.stem)
    return names


@pytest.mark.parametrize("dataset", SIZES)
def test_every_preset_is_built(dataset: str, tmp_path: Path) -> None:
    assert set(presets()) == set(SIZES)
    for preset in presets()[dataset]:
        features = ["features=pixels"] if preset.startswith("features") else []  # the preset's weights are a package
        experiment = built(tmp_path, f"experiment={preset}", *features)
        assert experiment.purchases[0] > 0
        assert sum(experiment.purchases) <= len(experiment.data.train)


@pytest.mark.parametrize("dataset", ["mnist_5_7", "mnist_5_7_usps"])  # CIFAR-10's preset is among those above
def test_gaal_is_built_for_all_its_data_sets(dataset: str, tmp_path: Path) -> None:
    assert len(built(tmp_path, "experiment=zhu2017_gaal", f"dataset={dataset}").data.classes) == 2
