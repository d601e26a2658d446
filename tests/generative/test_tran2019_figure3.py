"""scripts/tran2019_figure3.py: what it measures during training, and that measuring changes nothing."""

from pathlib import Path

import loaded_scripts
import pandas as pd
import pytest
import torch

from al_runner.api.compose import composed
from al_runner.engine.drive import drive
from al_runner.generative.parts import Parts
from al_runner.job.build import build
from al_runner.learners.vae_acgan import VaeAcgan
from al_runner.loop.experiment import Experiment
from al_runner.pool import Pool
from al_runner.rng import Streams

figure3 = loaded_scripts.script("tran2019_figure3")
SMALL = [
    "dataset=digits",
    "strategy=entropy",
    "model=small_cnn",
    "learner.samples=1",
    "learner.maps=4",
    "learner.units=16",
    "learner.latent=8",
    "training.batch_size=10",
    "training.check_every=12",
    "training.check_passes=1",
    "budget.initial=40",
    "budget.candidates=all",
]


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    with composed([*figure3.LEARNER, "seed=3", *SMALL, f"data_root={tmp_path}"]) as cfg:
        return build(cfg, torch.device("cpu"))


def test_there_is_a_distance_of_both_kinds_of_images_at_every_measurement(tmp_path: Path) -> None:
    table = figure3.measured(3, labels=40, every=4, words=[*SMALL, f"data_root={tmp_path}"])
    assert sorted(zip(table["step"], table["images"], strict=True)) == [
        (step, images) for step in (4, 8, 12) for images in ("labelled", "unlabelled")
    ]
    assert table["distance"].between(0, 8).all()  # at most sqrt(64) for images of 8 x 8
    assert table.groupby("images")["class_mean"].nunique().eq(1).all()
    assert figure3.drawn(table).axes[0].get_lines()


def test_measuring_leaves_the_training_as_it_was(experiment: Experiment) -> None:
    """The weights after a watched training are those after one that nobody watches."""
    data, learner = experiment.data, experiment.learner
    assert isinstance(learner, VaeAcgan)
    pool = Pool(data)
    ids = pool.unlabelled[:40]
    pool.buy(ids, data.labels[ids])
    looked: list[Parts] = []

    def look(net: Parts) -> dict[str, float]:
        looked.append(net)
        return {"twins": float(net.twins(data.images[:20], data.labels[:20]).mean())}

    watching = figure3.Watching(**vars(learner), watched=figure3.Watched(learner.joint, 5, look))
    train = experiment.train_data(pool)
    plain, watched = (drive(one.fit(train, Streams(3, 0))) for one in (learner, watching))
    assert len(looked) == 2
    states = plain.parts.state_dict(), watched.parts.state_dict()
    pd.testing.assert_index_equal(pd.Index(states[0]), pd.Index(states[1]))
    for name, weights in states[0].items():
        torch.testing.assert_close(states[1][name], weights, rtol=0, atol=0)
