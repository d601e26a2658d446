"""CAL against loops over all pairs."""

import pytest
import torch

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.cal import Cal, contrast
from al_runner.types import DataSet

RNG = torch.Generator().manual_seed(0)
X, LABELLED = (torch.randn(count, 4, generator=RNG, dtype=torch.float64) for count in (1500, 13))
P, Q = ((2 * torch.randn(count, 3, generator=RNG, dtype=torch.float64)).log_softmax(1) for count in (1500, 13))


@pytest.mark.parametrize("neighbours", [1, 10, 50])
def test_the_score_is_the_mean_divergence_of_the_nearest_labelled_points(neighbours):
    scores = contrast(X, P, LABELLED, Q, neighbours)
    for place in (0, 3, 1023, 1024, 1499):
        distances = [float((X[place] - other).norm()) for other in LABELLED]
        near = sorted(range(13), key=distances.__getitem__)[:neighbours]
        divergences = [float((Q[at].exp() * (Q[at] - P[place])).sum()) for at in near]
        assert float(scores[place]) == pytest.approx(sum(divergences) / len(divergences), abs=1e-12)
    assert scores.min() >= 0


def test_a_probability_of_0_gives_a_finite_score():
    sure = torch.eye(3, dtype=torch.float64).log()
    assert contrast(X[:3], sure, LABELLED[:1], sure[:1], 1).tolist() == [0.0, 80.0, 80.0]


class Fit:
    """Features of two numbers; their second one alone decides the class."""

    steps = 0

    def features(self, x):
        return x.flatten(1).float()

    def log_probs(self, x):
        y = x.flatten(1).float()[:, 1] - 50
        return torch.stack([y, -y], 1).log_softmax(1)[:, None]


def test_it_buys_the_image_beside_a_labelled_one_with_another_prediction():
    images = torch.tensor([[60, 49], [60, 48], [60, 52], [9, 99]], dtype=torch.uint8)[:, :, None, None]
    ids = torch.arange(4)
    pool = Pool(DataSet(images, torch.zeros(4, dtype=torch.int64), ids, ids[:0], ids[:0], ("a", "b")))
    pool.buy(ids[:1], torch.zeros(1, dtype=torch.int64))
    assert Cal(1).select(Fit(), pool, 1, stream(0, "query")).tolist() == [3]  # it has no nearer labelled image
    pool.buy(ids[3:], torch.zeros(1, dtype=torch.int64))
    assert Cal(1).select(Fit(), pool, 1, stream(0, "query")).tolist() == [2]
