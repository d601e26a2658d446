from itertools import combinations

import pytest
import torch
import toy
from distances import distances, points, radius
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.plain import Plain, SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.core_set import BLOCK, CoreSet, k_center, nearest, squared_distances


def farthest_first(x: Tensor, centres: Tensor, n: int) -> list[int]:
    """The greedy rule from the whole matrix of distances."""
    chosen: list[int] = []
    for _ in range(n):
        least = distances(x, torch.cat([centres, x[chosen]])).amin(1)
        least[chosen] = -1
        chosen.append(int(least.argmax()))
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_each_centre_is_the_farthest_point_from_those_before(seed: int) -> None:
    x, centres = points(40, seed, 5), points(3, seed + 100, 5)
    assert k_center(x, centres, 12).tolist() == farthest_first(x, centres, 12)


@pytest.mark.parametrize("seed", range(20))
def test_the_radius_is_at_most_twice_the_smallest_possible(seed: int) -> None:
    x, centres = points(11, seed), points(1 + seed % 3, seed + 100)
    greedy = radius(x, torch.cat([centres, x[k_center(x, centres, 3)]]))
    least = min(radius(x, torch.cat([centres, x[list(some)]])) for some in combinations(range(11), 3))
    assert least <= greedy <= 2 * least


def test_the_bound_of_two_is_reached() -> None:
    """Points 0 .. 4 on a line and a centre at 0: greedy takes an end (radius 2), the middle of the rest has 1."""
    x = torch.arange(5.0)[:, None]
    assert k_center(x, x[:1], 1).tolist() == [4]
    assert radius(x, x[[0, 4]]) == 2 * radius(x, x[[0, 3]])


def test_the_nearest_centre_is_the_same_in_blocks() -> None:
    x, centres = points(BLOCK + 3, 0, 3), points(2 * BLOCK + 1, 1, 3)
    assert torch.allclose(nearest(x, centres), torch.cdist(x, centres).amin(1), atol=1e-9)
    assert nearest(x, centres[:0]).tolist() == [torch.inf] * len(x)


def test_rounding_makes_no_distance_negative() -> None:
    """Far from the origin, float32 loses the distances of points to themselves: some products come out below 0."""
    x = 1000 + points(50, 0, 64).float()
    raw = x.square().sum(1)[:, None] + x.square().sum(1) - 2 * x @ x.T
    assert float(raw.min()) < 0
    assert float(squared_distances(x, x).min()) == 0
    assert sorted(k_center(x, x[:1], 50).tolist()) == list(range(50))


def test_copies_of_a_centre_come_last_and_once() -> None:
    x = torch.tensor([[0.0], [0.0], [5.0], [5.0], [1.0]])
    assert k_center(x, x[:1], 5).tolist() == [2, 4, 0, 1, 3]
    assert sorted(k_center(torch.ones(4, 2), torch.ones(1, 2), 4).tolist()) == [0, 1, 2, 3]


def test_the_strategy_returns_ids_of_the_farthest_candidates_from_the_labelled(net: nn.Module, pool: Pool) -> None:
    fitted = SingleNet(net, 0)
    features = net[:5](pool.x(pool.candidates))
    wanted = farthest_first(features, net[:5](pool.x(pool.labelled)), 6)
    ids = CoreSet().select(fitted, pool, 6, stream(0, "query"))
    assert ids.tolist() == pool.candidates[wanted].tolist()


def test_outputs_are_the_logits_of_one_net_and_choose_otherwise(net: nn.Module, pool: Pool) -> None:
    fitted, by_logits = SingleNet(net, 0), CoreSet(features="outputs")
    wanted = farthest_first(net(pool.x(pool.candidates)), net(pool.x(pool.labelled)), 6)
    ids = by_logits.select(fitted, pool, 6, stream(0, "query")).tolist()
    assert ids == pool.candidates[wanted].tolist() != CoreSet().select(fitted, pool, 6, stream(0, "query")).tolist()
    learner = Plain(lambda: net, toy.recipe())  # never trained
    by_logits.check_learner(learner)
    several = Ensemble(lambda: net, toy.recipe(), 2)
    CoreSet().check_learner(several)
    with pytest.raises(UsageError, match=r"one net.s own weights.*learner=plain"):
        by_logits.check_learner(several)
    with pytest.raises(UsageError, match="it must be inputs or outputs"):
        CoreSet(features="logits")


def test_a_net_without_a_dense_layer_is_refused_and_activations_that_are_not_finite(net: nn.Module, pool: Pool) -> None:
    with pytest.raises(UsageError, match="model="):
        CoreSet().check(nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten()), pool.x(pool.candidates[:2]))
    with torch.no_grad():
        net[0].bias[0] = torch.nan
    with pytest.raises(ArithmeticError, match="not finite"):
        CoreSet().select(SingleNet(net, 0), pool, 6, stream(0, "query"))
