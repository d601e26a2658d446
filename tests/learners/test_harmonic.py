"""The harmonic function as a learner: its values at the nodes, between them, and the loop around it."""

import pytest
import torch
import toy
from torch.nn.functional import one_hot

from al_runner.engine.drive import drive
from al_runner.errors import UsageError
from al_runner.learners.harmonic import Harmonic, HarmonicFunction
from al_runner.loop.experiment import Experiment
from al_runner.models.gaussian_field import harmonic
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.strategies.mbr import Mbr

BUILD = net_builder(toy.data_set(), toy.model)
SCALE = 0.2


def fit(learner: Harmonic, round_: int = 0) -> HarmonicFunction:
    return drive(learner.fit(toy.train_data(), Streams(0, round_)))


def test_the_values_at_the_nodes_are_the_labels_and_the_solution() -> None:
    fitted, given = fit(Harmonic(BUILD, SCALE, nodes=None, normalise_mass=False)), toy.train_data()
    assert given.unlabelled is not None
    assert len(fitted.nodes) == 12 + len(given.unlabelled)
    labels = one_hot(given.y, 3).double()
    assert torch.equal(fitted.f[:12], labels)
    assert torch.equal(fitted.masses, torch.ones(3).double())
    solution = harmonic(given.x, labels, fitted.nodes[12:], SCALE)
    assert torch.equal(fitted.f[12:], solution)


def test_another_image_gets_the_weighted_mean_of_the_nodes() -> None:
    fitted = fit(Harmonic(BUILD, SCALE, nodes=20))
    x = toy.data_set().images[100:103]
    for image, log_probs in zip(x, fitted.log_probs(x), strict=True):
        squared = ((image.double() - fitted.nodes.double()) / 255).square().mean((1, 2, 3))
        weights = (-squared / SCALE**2).exp()
        mean = (weights[:, None] * fitted.f).sum(0) * fitted.masses
        assert torch.allclose(log_probs[0].exp(), mean / mean.sum(), atol=1e-12)


def test_masses_are_the_class_shares_with_one_label_more_for_each() -> None:
    fitted = fit(Harmonic(BUILD, SCALE))
    shares = (fitted.f[12:] * fitted.masses).sum(0)
    counts = torch.bincount(toy.train_data().y, minlength=3).double()
    assert torch.allclose(shares, counts + 1)


def test_every_round_draws_new_unlabelled_nodes() -> None:
    first, again, other = (fit(Harmonic(BUILD, SCALE, nodes=20), round_).nodes for round_ in (0, 0, 1))
    assert len(first) == 12 + 20
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_run_without_a_net_works() -> None:
    run = toy.experiment()
    learner = Harmonic(BUILD, SCALE, nodes=40)
    memory = toy.Memory()
    drive(Experiment(run.data, learner, Mbr(SCALE), run.budget, 0, run.oracle).run(memory))
    assert [row["labelled"] for row in memory.rows] == [6, 11, 16, 21, 26]
    assert all(row["steps"] == 0 for row in memory.rows)
    assert memory.rows[-1]["test_error"] < 0.4


def test_what_needs_a_net_is_refused() -> None:
    fitted = fit(Harmonic(BUILD, SCALE))
    with pytest.raises(UsageError, match="learner=harmonic has no net"):
        fitted.network()
    with pytest.raises(UsageError, match="learner=harmonic has no net"):
        fitted.features(toy.train_data().x)
    with pytest.raises(UsageError, match=r"learner\.length_scale is 0"):
        Harmonic(BUILD, 0)
    with pytest.raises(UsageError, match=r"learner\.nodes is 0"):
        Harmonic(BUILD, SCALE, nodes=0)
