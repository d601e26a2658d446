"""Scores of posterior samples against values worked out by hand and against brute force."""

from functools import partial
from itertools import product
from math import log, sqrt

import pytest
import torch
import toy
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.rng import stream
from al_runner.strategies.bayesian import Disagreement, bald, mean_std, variation_ratios
from al_runner.strategies.uncertainty import TopScore, entropy, least_confidence

SCORES = [bald, variation_ratios, mean_std]
PROBABILITIES = torch.tensor(
    [
        [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]],  # in doubt, but of one mind
        [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]],  # certain
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],  # certain, and all against all
        [[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.6, 0.4, 0.0]],
    ],
    dtype=torch.float64,
)
MEAN = (1.6 / 3, 1.4 / 3)
DISPUTE = -sum(p * log(p) for p in MEAN) + 0.6 * log(0.6) + 0.4 * log(0.4)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (bald, [0.0, 0.0, log(3), DISPUTE]),
        (variation_ratios, [0.0, 0.0, 2 / 3, 1 / 3]),
        (mean_std, [0.0, 0.0, sqrt(2) / 3, 2 / 3 * 0.2 * sqrt(2) / 3]),
        (least_confidence, [0.5, 0.0, 2 / 3, 1.4 / 3]),
    ],
)
def test_scores_by_hand(score, expected: list[float]) -> None:
    assert score(PROBABILITIES.log()).tolist() == pytest.approx(expected, abs=1e-15)


def samples(n: int = 50, k: int = 7, classes: int = 4, scale: float = 2.0) -> Tensor:
    logits = scale * torch.randn(n, k, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return logits.log_softmax(2)


def test_bald_is_the_information_between_the_label_and_the_sample() -> None:
    """I[y; k] from the joint p(y, k) = p_k(y) / K, term by term."""
    log_probs = samples(n=5)
    for row, value in zip(log_probs.exp().tolist(), bald(log_probs).tolist(), strict=True):
        k, y = len(row), len(row[0])
        marginal = [sum(p[c] for p in row) / k for c in range(y)]
        joint = sum(row[i][c] / k * log(row[i][c] / k / (marginal[c] / k)) for i, c in product(range(k), range(y)))
        assert value == pytest.approx(joint, rel=1e-12)


def test_bald_is_the_difference_of_the_entropies() -> None:
    log_probs = samples()
    each = torch.special.entr(log_probs.exp()).sum(2).mean(1)
    assert torch.allclose(bald(log_probs), entropy(log_probs) - each, rtol=1e-12, atol=1e-14)


def test_bald_of_samples_that_hardly_differ_is_not_lost_to_rounding() -> None:
    """Two samples p +- d have I = d^2 / (2 p (1 - p)) to first order; the entropies' difference in float32 is noise."""
    p, d = 0.3, 1e-5
    pair = torch.tensor([[[p + d, 1 - p - d], [p - d, 1 - p + d]]], dtype=torch.float64)
    assert bald(pair.log()).item() == pytest.approx(d**2 / (2 * p * (1 - p)), rel=1e-6)


def test_mean_std_is_the_mean_deviation_over_the_classes() -> None:
    """Not the deviation of a single number, as in the authors' code, which is 0 for every image."""
    p = samples(n=6).exp()
    each = [(p[:, :, c].square().mean(1) - p[:, :, c].mean(1).square()).sqrt() for c in range(4)]
    assert torch.allclose(mean_std(p.log()), sum(each) / 4, rtol=1e-10)  # type: ignore[arg-type]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_the_order_of_samples_classes_and_images_makes_no_difference(score, scale: float) -> None:
    log_probs = samples(scale=scale)
    value = score(log_probs)
    for axis in (1, 2):
        assert torch.allclose(score(log_probs.flip(axis)), value, rtol=1e-9, atol=1e-14)
    assert torch.equal(score(log_probs.flip(0)), value.flip(0))


@pytest.mark.parametrize("score", SCORES)
def test_float32_agrees_with_float64(score) -> None:
    log_probs = samples().float()
    assert torch.equal(score(log_probs), score(log_probs.double()))
    assert torch.allclose(score(log_probs), score(samples()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("k", "classes"), [(3, 5), (5, 3), (4, 2)])
def test_the_range_is_reached_and_kept(score, k: int, classes: int) -> None:
    """Votes that are spread as evenly as possible over the classes give the highest score; more is refused."""
    votes = torch.nn.functional.one_hot(torch.arange(k) % classes, classes).double().log()[None]
    exact = {
        (3, 5): (log(3), 2 / 3),
        (5, 3): (None, 3 / 5),
        (4, 2): (log(2), 1 / 2),
    }[k, classes]
    if score is bald and exact[0] is not None:
        assert score(votes).item() == pytest.approx(exact[0], abs=1e-15)
    elif score is variation_ratios:
        assert score(votes).item() == pytest.approx(exact[1], abs=1e-15)
    elif score is mean_std and k % classes == 0:
        assert score(votes).item() == pytest.approx(sqrt(classes - 1) / classes, abs=1e-15)
    for scale in (0.1, 3.0, 1e3):
        values = score(samples(200, k, classes, scale))
        assert float(values.min()) >= 0


@pytest.mark.parametrize("where", [(3, 2), (3,)], ids=["one sample", "all samples"])
@pytest.mark.parametrize("score", SCORES)
def test_nan_predictions_are_refused(score, where) -> None:
    log_probs = samples()
    log_probs[where] = torch.nan
    with pytest.raises(ArithmeticError, match=f"{score.__name__} is not in"):
        score(log_probs)


@pytest.mark.parametrize("score", [bald, mean_std])
def test_predictions_that_do_not_add_to_1_are_refused(score) -> None:
    with pytest.raises(ArithmeticError, match="don't add to 1"):
        score(torch.tensor([[[0.0, -1.0, 3.0], [9.0, 2.0, 1.0]]]))


def test_votes_then_entropy_then_the_order_decide() -> None:
    p = [
        [0.9, 0.9, 0.9],  # of one mind
        [0.9, 0.9, 0.1],  # one against two, mean 0.633
        [0.8, 0.8, 0.2],  # one against two, mean 0.6: higher entropy
        [0.6, 0.6, 0.6],  # of one mind, higher entropy
        [0.8, 0.8, 0.2],
    ]
    table = torch.tensor(p, dtype=torch.float64)
    fitted = toy.Table(torch.stack([table, 1 - table], 2).log())
    pool = toy.numbered(5)
    assert Disagreement(variation_ratios).select(fitted, pool, 5, stream(0, "query")).tolist() == [2, 4, 1, 3, 0]
    pool.candidates = torch.tensor([4, 0, 2])
    assert Disagreement(variation_ratios).select(fitted, pool, 2, stream(0, "query")).tolist() == [4, 2]


def test_the_highest_information_is_chosen_among_the_candidates() -> None:
    fitted = toy.Table(samples(n=30))
    pool = toy.numbered(30)
    pool.buy(torch.tensor([3, 7, 20]), torch.tensor([1, 1, 0]))
    pool.draw_candidates(12, stream(0, "candidates"))
    values = bald(fitted.table)
    best = sorted(pool.candidates.tolist(), key=lambda id_: -float(values[id_]))[:4]
    assert Disagreement(partial(bald)).select(fitted, pool, 4, stream(0, "query")).tolist() == best


@pytest.mark.parametrize("score", SCORES)
def test_a_single_net_is_refused_by_the_score_s_name_or_chosen_from_at_random(score) -> None:
    single = toy.Table(samples(n=30, k=1))
    with pytest.raises(
        UsageError,
        match=f"{score.__name__} needs several posterior samples; use learner=dropout, ensemble or bootstrap",
    ):
        Disagreement(partial(score)).select(single, toy.numbered(30), 4, stream(0, "query"))
    with pytest.raises(UsageError, match=f"{score.__name__} needs several posterior samples"):
        Disagreement(partial(score)).check_learner(single)  # type: ignore[arg-type]
    assert torch.equal(score(single.table), torch.zeros(30).double())
    allowed = Disagreement(score, one_sample="random")
    assert allowed.draws and not Disagreement(score).draws
    allowed.check_learner(single)  # type: ignore[arg-type]
    picks = {tuple(allowed.select(single, toy.numbered(30), 4, stream(seed, "query")).tolist()) for seed in range(20)}
    assert len(picks) > 1
    with pytest.raises(UsageError, match="it must be refuse or random"):
        Disagreement(score, one_sample="top")


def test_the_entropy_and_the_ratio_of_the_mean_take_samples_too() -> None:
    log_probs = samples()
    mean = log_probs.exp().mean(1)
    assert torch.allclose(entropy(log_probs), torch.special.entr(mean).sum(1), rtol=1e-12)
    assert torch.allclose(least_confidence(log_probs), 1 - mean.amax(1), rtol=1e-10)
    chosen = TopScore(least_confidence).select(toy.Table(log_probs), toy.numbered(50), 5, stream(0, "query"))
    assert chosen.tolist() == (1 - mean.amax(1)).argsort(descending=True)[:5].tolist()


def test_near_certain_predictions_keep_their_order() -> None:
    gaps = torch.tensor([17.0, 29.0, 18.0, 60.0])
    log_probs = torch.stack([gaps, torch.zeros(4)], 1).log_softmax(1)[:, None]
    scores = least_confidence(log_probs)
    assert scores.argsort(descending=True).tolist() == [0, 2, 1, 3]
    assert scores.tolist() == pytest.approx((-gaps).exp().tolist(), rel=1e-6)
