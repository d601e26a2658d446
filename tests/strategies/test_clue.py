"""CLUE: the weights by hand, and clusters that uncertain points pull to themselves."""

from math import log

import torch

from al_runner.rng import stream
from al_runner.strategies.clue import weights
from al_runner.strategies.clusters import clusters, spread


def test_a_weight_is_the_entropy_at_the_temperature():
    probs = torch.tensor([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]], dtype=torch.float64)
    found = weights(probs.log(), 1.0)
    assert torch.allclose(found[:2], torch.tensor([log(2), -0.9 * log(0.9) - 0.1 * log(0.1)]).double(), atol=1e-6)
    assert 0 < found[2] < 1e-6
    square = probs[1] ** 2 / (probs[1] ** 2).sum()
    assert torch.allclose(weights(probs[1:2].log(), 0.5), torch.special.entr(square).sum()[None], atol=1e-6)


def test_a_centre_is_the_weighted_mean_of_its_cluster():
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    heavy = torch.rand(60, generator=torch.Generator().manual_seed(2), dtype=torch.float64) ** 4
    labels, centres = clusters(x, 4, stream(0, "query"), heavy)
    for label in range(4):
        mine = labels == label
        mean = (x[mine] * heavy[mine, None]).sum(0) / heavy[mine].sum()
        assert torch.allclose(centres[label], mean, atol=1e-3)
    unweighted = clusters(x, 4, stream(0, "query"))[1]
    assert not torch.allclose(centres, unweighted, atol=1e-2)


def test_uncertain_points_pull_the_choice_to_themselves():
    """Of two clouds each gives one point; in each it is the one whose weight is far above the others'."""
    x = torch.cat([torch.linspace(0, 1, 11), torch.linspace(100, 101, 11)])[:, None]
    heavy = torch.full((22,), 1e-3)
    heavy[[2, 19]] = 10.0
    assert sorted(spread(x, 2, stream(0, "query"), heavy).tolist()) == [2, 19]
    assert sorted(spread(x, 2, stream(0, "query")).tolist()) == [5, 16]
