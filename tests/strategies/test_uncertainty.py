"""Scores against values worked out by hand."""

from functools import partial
from math import log

import pytest
import torch
import toy

from al_runner.rng import stream
from al_runner.strategies.uncertainty import (
    TopScore,
    confidence,
    curriculum,
    entropy,
    least_confidence,
    margin,
    uncertainty,
)

PROBABILITIES = torch.tensor(
    [
        [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]],
        [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        [[1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]],
    ],
    dtype=torch.float64,
)
H = -(0.5 * log(0.5) + 0.3 * log(0.3) + 0.2 * log(0.2))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (least_confidence, [0.5, 0.0, 0.5, 2 / 3]),
        (margin, [-0.2, -1.0, 0.0, 0.0]),
        (entropy, [H, 0.0, log(2), log(3)]),
        (uncertainty, [log(2), 0.0, log(2), log(3)]),
        (curriculum, [-log(2), 0.0, -log(2), -log(3)]),
        (confidence, [1 / 2, 1.0, 1 / 2, 1 / 3]),
    ],
)
def test_scores_by_hand(score, expected: list[float]) -> None:
    assert score(PROBABILITIES.log()).tolist() == pytest.approx(expected, abs=1e-12)


def test_p_log_p_is_zero_at_zero_and_such_images_come_last() -> None:
    """A NaN would sort first, which is a common bug in this field."""
    scores = entropy(PROBABILITIES.log())
    assert bool(scores.isfinite().all())
    assert scores.argmin().item() == 1


def test_the_highest_scores_are_chosen_as_absolute_ids() -> None:
    pool = toy.numbered(6)
    pool.buy(torch.tensor([5, 0]), torch.tensor([1, 0]))
    p = torch.tensor([0.5, 0.9, 0.6, 0.99, 0.7, 0.5], dtype=torch.float64)
    fitted = toy.Table(torch.stack([p, 1 - p], 1).log()[:, None])
    top = TopScore(partial(entropy)).select(fitted, pool, 3, stream(0, "query"))
    assert top.tolist() == [2, 4, 1]


def test_ties_go_to_the_earlier_candidate() -> None:
    pool = toy.numbered(6)
    pool.draw_candidates(6, stream(0, "candidates"))
    fitted = toy.Table(torch.full((6, 1, 2), 0.5).log())
    assert torch.equal(TopScore(entropy).select(fitted, pool, 4, stream(0, "query")), pool.candidates[:4])


def test_rounding_does_not_make_a_certain_prediction_uncertain() -> None:
    """In float32 the logarithm of a mean of K ones is not 0 for every K."""
    for k in range(1, 129):
        certain = torch.tensor([1.0, 0.0]).log().expand(1, k, 2)
        assert float(entropy(certain)) >= 0
        assert float(uncertainty(certain)) >= 0


def test_a_nearly_certain_net_still_orders_the_images() -> None:
    """1 - p would be 0 for both in float32, and then the ids decide."""
    nearly = torch.tensor([[[30.0, 0.0, 0.0]], [[25.0, 0.0, 0.0]]]).log_softmax(2)
    surer, less_sure = least_confidence(nearly).tolist()
    assert 0 < surer < less_sure < 1e-9


def test_a_set_s_confidence_is_the_mean_of_its_images() -> None:
    """It is not the product, with which `curriculum` chooses the other set: (0.99, 0.51) or (0.72, 0.72)."""
    p = torch.tensor([0.99, 0.51, 0.72, 0.72], dtype=torch.float64)
    fitted = toy.Table(torch.stack([p, 1 - p], 1).log()[:, None])
    chosen = {}
    for score in (confidence, curriculum):
        pool = toy.numbered(4)
        pool._sets = torch.tensor([[0, 1], [2, 3]])
        chosen[score] = TopScore(score).select(fitted, pool, 2, stream(0, "query")).tolist()
    assert chosen == {confidence: [0, 1], curriculum: [2, 3]}


def test_nan_predictions_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="not finite"):
        TopScore(entropy).select(toy.Table(torch.full((6, 1, 2), float("nan"))), toy.numbered(6), 2, stream(0, "query"))
