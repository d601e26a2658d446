"""The linear machine against its own problem, solved by another way."""

import numpy as np
import pytest
import torch
import toy
from scipy.optimize import minimize

from al_runner.engine.drive import drive
from al_runner.learners.linear_svm import LinearSvm, planes
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.types import TrainData


def test_two_classes_are_the_least_of_the_squared_hinge_loss() -> None:
    """The bias counts in the norm, as the library has it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    y = (x[:, 0] + 0.5 * rng.normal(size=30) > 0).astype(np.int64)
    weight, bias = planes(x, y, 2, 0.7)

    def objective(values: np.ndarray) -> float:
        slack = np.maximum(0, 1 - (2 * y - 1) * (x @ values[:3] + values[3]))
        return 0.5 * values @ values + 0.7 * (slack**2).sum()

    best = minimize(objective, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    ours = np.append(weight[1] - weight[0], bias[1] - bias[0])
    assert ours == pytest.approx(best, abs=2e-3)


def test_classes_without_examples_lose_and_one_class_alone_wins() -> None:
    x = np.random.default_rng(0).normal(size=(12, 2))
    weight, bias = planes(x, np.repeat([0, 2], 6), 4, 1.0)
    assert not weight[[1, 3]].any() and bias[[1, 3]].tolist() == [-1, -1]
    weight, bias = planes(x, np.full(12, 2), 4, 1.0)
    assert not weight.any() and bias.tolist() == [-1, -1, 1, -1]


def test_it_is_a_net_of_pixels_that_learns() -> None:
    run = toy.experiment()
    data, pool = run.data, toy.bought(run.data, run.data.train[:60])
    fitted = drive(LinearSvm(net_builder(data, toy.model)).fit(run.train_data(pool), Streams(0, 0), None))
    x, y = data.images[data.test], data.labels[data.test]
    assert float((fitted.log_probs(x)[:, 0].argmax(1) == y).double().mean()) > 0.6
    layer = fitted.network()[1]
    torch.testing.assert_close(
        fitted.log_probs(x)[:, 0], (x.flatten(1) / 255 @ layer.weight.T + layer.bias).log_softmax(1)
    )
    assert fitted.steps == 0


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_vectors_are_taken_as_they_are(kind: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    y = torch.arange(60) % 3
    x = torch.from_numpy(rng.normal(size=(60, 4))).to(kind)
    images = (x + torch.eye(3, 4)[y].to(kind))[:, :, None, None]
    learner = LinearSvm(net_builder(toy.data_set(), toy.model), penalty=0.7)
    fitted = drive(learner.fit(TrainData(images, y, images, y), Streams(0, 0), None))
    weight, bias = planes(images.flatten(1).double().numpy(), y.numpy(), 3, 0.7)
    wanted = images.flatten(1).double() @ torch.from_numpy(weight).T + torch.from_numpy(bias)
    torch.testing.assert_close(fitted.log_probs(images)[:, 0].double(), wanted.log_softmax(1), rtol=1e-4, atol=1e-5)
