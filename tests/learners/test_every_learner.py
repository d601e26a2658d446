"""What every learner in conf/learner must hold, whatever it fits."""

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from torch import nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import UsageError
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.types import Fitted, Learner


@pytest.fixture(params=configs.names("learner"))
def learner(request: pytest.FixtureRequest) -> Learner:
    quick = ("training.max_checks=2", "training.check_every=2", "training.batch_size=8")
    cfg = configs.composed(f"learner={request.param}", *quick)
    built: Learner = instantiate(cfg.learner, _partial_=True)(build=net_builder(toy.data_set(), toy.model))
    return built


def fit(learner: Learner, seed: int = 0) -> Fitted:
    return drive(learner.fit(toy.train_data(), Streams(seed, 0), None), train_all)  # type: ignore[arg-type]


def test_it_has_the_samples_it_says_and_they_are_distributions(learner: Learner) -> None:
    log_probs = fit(learner).log_probs(toy.data_set().images)
    assert log_probs.shape == (160, learner.gives.samples, 3)
    assert torch.allclose(log_probs.double().exp().sum(2), torch.ones(160, learner.gives.samples).double(), atol=1e-6)


def test_its_predictions_are_the_same_at_every_call_and_depend_only_on_its_streams(learner: Learner) -> None:
    images, state = toy.data_set().images, torch.random.get_rng_state()
    fitted = fit(learner)
    torch.rand(5)
    first = fitted.log_probs(images)
    assert torch.equal(fitted.log_probs(images), first)
    assert torch.equal(fit(learner).log_probs(images), first)
    torch.random.set_rng_state(state)
    fit(learner)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_net_with_batch_norm_is_trained_on_a_remainder_of_one_image() -> None:
    """9 images in minibatches of 8. BatchNorm raises an error if it gets only one value of each unit."""
    for name in configs.names("learner"):
        quick = ("training.max_checks=2", "training.check_every=2", "training.batch_size=8")
        cfg = configs.composed(f"learner={name}", *quick)
        made: Learner = instantiate(cfg.learner, _partial_=True)(build=net_builder(toy.data_set(), batch_norm))
        run = toy.experiment()
        pool = toy.bought(run.data, run.data.train[:9])
        fitted = drive(made.fit(run.train_data(pool), Streams(0, 0), None), train_all)  # type: ignore[arg-type]
        assert bool(fitted.log_probs(run.data.images[:5]).isfinite().all())
        pool.buy(run.data.train[9:17], run.data.labels[run.data.train[9:17]])
        again = drive(made.fit(run.train_data(pool), Streams(0, 1), fitted), train_all)  # type: ignore[arg-type]
        assert bool(again.log_probs(run.data.images[:5]).isfinite().all())


def batch_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(36, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(5, classes),
    )


def test_predicting_changes_no_images(learner: Learner) -> None:
    images = toy.data_set().images
    fit(learner).log_probs(images)
    assert torch.equal(images, toy.data_set().images)


def test_it_has_a_network_and_features_as_it_declares(learner: Learner) -> None:
    fitted = fit(learner)
    if learner.gives.network:
        assert not fitted.network().training
    else:
        with pytest.raises(UsageError, match="net"):
            fitted.network()
    if learner.gives.features:
        assert len(fitted.features(toy.data_set().images)) == len(toy.data_set().images)
    else:
        with pytest.raises(UsageError, match="features"):
            fitted.features(toy.data_set().images)
