"""Scores and dropout samples against baal's and batchbald_redux's: pip install '.[bench]'; skipped without them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from al_runner.learners.dropout import DropoutNet
from al_runner.models.layers import seed_layers
from al_runner.rng import stream
from al_runner.strategies.batch_bald import batch_bald
from al_runner.strategies.bayesian import bald
from al_runner.strategies.uncertainty import entropy, least_confidence, margin
from al_runner.system.torchvision import torchvision_datasets


@pytest.fixture(scope="module")
def baal():
    torchvision_datasets()  # baal imports torchvision, which beside a CPU-only torch only this can
    return pytest.importorskip("baal.active.heuristics", reason="baal is not installed: pip install '.[bench]'")


@pytest.fixture(scope="module")
def redux():
    reason = "batchbald_redux is not installed: pip install '.[bench]'"
    return pytest.importorskip("batchbald_redux.batchbald", reason=reason)


def samples(scale: float) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return (scale * torch.randn(3000, 20, 10, generator=rng, dtype=torch.float64)).log_softmax(2)


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_baal_s_scores(baal, scale: float) -> None:
    log_probs = samples(scale)
    theirs = log_probs.exp().movedim(1, 2).numpy()  # [N, Y, K]
    pairs = [
        (bald, baal.BALD(), 1),
        (entropy, baal.Entropy(), 1),
        (lambda p: 1 - least_confidence(p), baal.Certainty(), 1),
        (margin, baal.Margin(), -1),
    ]
    for ours, heuristic, sign in pairs:
        assert np.allclose(ours(log_probs).numpy(), sign * heuristic.get_uncertainties(theirs), rtol=1e-9, atol=1e-12)
    assert bald(log_probs).argsort(descending=True).tolist() == baal.BALD()(theirs).tolist()


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_batchbald_redux_s_scores_and_its_batch(redux, scale: float) -> None:
    log_probs = samples(scale)
    entropies = redux.compute_entropy(log_probs)
    assert torch.allclose(entropy(log_probs), entropies, rtol=1e-9)
    information = entropies - redux.compute_conditional_entropy(log_probs)
    assert torch.allclose(bald(log_probs), information, rtol=1e-9, atol=1e-12)
    batch = redux.get_bald_batch(log_probs, 10)
    assert bald(log_probs).argsort(descending=True)[:10].tolist() == batch.indices


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_batchbald_redux_s_joint_batch(redux, scale: float) -> None:
    """Four images of ten classes have 10,000 label vectors, so both codes use all of them."""
    log_probs = samples(scale)[:300]
    theirs = redux.get_batchbald_batch(log_probs, 4, 10_000, dtype=torch.float64)
    assert batch_bald(log_probs, 4, 10_000, stream(0, "query")).tolist() == theirs.indices


@pytest.mark.parametrize("shared", [False, True])
def test_baal_s_dropout_samples_have_the_same_mean_and_spread(baal, shared: bool) -> None:
    from baal.bayesian.dropout import MCDropoutModule

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.25), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5))
    net = nn.Sequential(*net, nn.Linear(8, 3)).eval()
    x, count = torch.randn(5, 6), 8000
    with torch.no_grad():
        patched = MCDropoutModule(net)
        theirs = torch.stack([patched(x).softmax(1) for _ in range(count)], 1).double()
    patched.unpatch()
    seed_layers(net, stream(0, "dropout"))
    ours = DropoutNet.of(net, 0, count, shared, stream(0, "posterior masks")).log_probs(x).double().exp()
    error = ours.std(1) * (2 / count) ** 0.5  # of the difference of two means; 30 comparisons at 4.5 of them
    assert bool(((ours.mean(1) - theirs.mean(1)).abs() < 4.5 * error).all())
    squares = [(p - theirs.mean(1, keepdim=True)).square() for p in (ours, theirs)]
    error = squares[0].std(1) * (2 / count) ** 0.5
    assert bool(((squares[0].mean(1) - squares[1].mean(1)).abs() < 4.5 * error).all())
