"""FALCUN against loops over all points, and the way in which another implementation differs."""

import pytest
import torch

from al_runner.rng import stream
from al_runner.strategies.falcun import contrastive, scaled

P = (2 * torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).softmax(1)


def by_hand(probs, n, gamma, rng, keep_scaled=False):
    rows = probs.tolist()
    margins = [sorted(row)[-1] - sorted(row)[-2] for row in rows]
    unsure = [1 - margin for margin in margins]
    far, chosen = list(unsure), []
    for _ in range(n):
        left = [place for place in range(len(rows)) if place not in chosen]
        low, high = min(far[place] for place in left), max(far[place] for place in left)
        unit = [(value - low) / (high - low) if high > low else 0.0 for value in far]
        if keep_scaled:
            far = unit
        relevance = [(unsure[place] + unit[place]) ** gamma if place in left else 0.0 for place in range(len(rows))]
        point = float(torch.rand(1, generator=rng, dtype=torch.float64)) * sum(relevance)
        place, total = 0, relevance[0]
        while total <= point:
            place += 1
            total += relevance[place]
        chosen.append(place)
        far = [
            min(d, sum(abs(a - b) for a, b in zip(row, rows[place], strict=True)))
            for d, row in zip(far, rows, strict=True)
        ]
    return chosen


@pytest.mark.parametrize("gamma", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(5))
def test_choices_are_those_of_loops_over_all_points(gamma, seed):
    found = contrastive(P, 9, gamma, stream(seed, "query")).tolist()
    assert found == by_hand(P, 9, gamma, stream(seed, "query"))
    assert len(set(found)) == 9


def test_scaled_distances_are_not_what_later_ones_are_compared_with():
    """skactiveml keeps the scaled distances, which makes points far again that are near a choice."""
    chosen = [[by_hand(P, 20, 10.0, stream(seed, "query"), keep) for seed in range(5)] for keep in (False, True)]
    assert chosen[0] != chosen[1]
    assert [contrastive(P, 20, 10.0, stream(seed, "query")).tolist() for seed in range(5)] == chosen[0]


def test_a_large_exponent_takes_the_most_relevant_point():
    margins = P.sort(1).values
    unsure = 1 - (margins[:, -1] - margins[:, -2])
    for seed in range(5):
        assert int(contrastive(P, 1, 5000.0, stream(seed, "query"))) == int(unsure.argmax())


def test_equal_predictions_are_drawn_at_random():
    certain = torch.eye(3, dtype=torch.float64)[torch.zeros(12, dtype=torch.int64)]
    chosen = [contrastive(certain, 12, 10.0, stream(seed, "query")).tolist() for seed in range(3)]
    assert all(sorted(places) == [*range(12)] for places in chosen)
    assert chosen[0] != chosen[1]


def test_of_two_kinds_of_unsure_predictions_both_are_bought():
    """Half of the points are torn between classes 0 and 1, half between 2 and 3; two choices are of both halves."""
    half = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]], dtype=torch.float64)
    for seed in range(20):
        chosen = contrastive(half[torch.arange(40) // 20], 2, 10.0, stream(seed, "query"))
        assert sorted((chosen // 20).tolist()) == [0, 1]


def test_scaled_looks_at_the_points_that_are_left():
    values, left = torch.tensor([9.0, 1.0, 2.0, 5.0]), torch.tensor([False, True, True, True])
    assert scaled(values, left).tolist() == [2.0, 0.0, 0.25, 1.0]
    assert scaled(torch.ones(4), left).tolist() == [0.0] * 4
