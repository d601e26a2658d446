"""TypiClust by hand, and the ways in which other code goes wrong."""

import pytest
import torch
import toy

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.clusters import clusters, spread
from al_runner.strategies.typiclust import TypiClust, typical, typicality
from al_runner.types import DataSet, Unfitted

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("neighbours", [1, 4, 20, 30])
def test_typicality_is_the_inverse_mean_distance_to_neighbours(neighbours):
    found = typicality(X, neighbours)
    for row, value in zip(X, found, strict=True):
        distances = sorted(float((row - other).norm()) for other in X)[1:]
        k = min(neighbours, 20)
        assert float(value) == pytest.approx(1 / (sum(distances[:k]) / k + 1e-5), rel=1e-6)


def test_clusters_without_labels_come_first_then_the_largest_and_small_ones_are_left_out():
    sizes = {0: 12, 1: 9, 2: 14, 3: 5}
    cluster = torch.cat([torch.full((size,), label) for label, size in sizes.items()])
    known = torch.zeros(40, dtype=torch.bool)
    known[0] = True  # cluster 0 has a label
    at = {label: (cluster == label).nonzero()[:, 0] for label in sizes}

    def best(label):
        order = at[label][typicality(X[at[label]], 20).argsort(descending=True)].tolist()
        return [place for place in order if not known[place]]

    first, second, third = best(2), best(1), best(0)
    # The order 2, 1, 0 is gone through again and again, and is not refreshed by what was chosen.
    expected = [first[0], second[0], third[0], first[1], second[1], third[1], first[2]]
    assert typical(X, cluster, known, 7, 20, 5).tolist() == expected
    # As many as were asked for, also where clusters are used up: cluster 3 is used when nothing else is left.
    whole = typical(X, cluster, known, 39, 20, 5).tolist()
    assert sorted(whole) == [*range(1, 40)]
    assert set(whole[-5:]) == set(at[3].tolist())


def test_as_many_clusters_as_there_will_be_labels():
    """Five tight groups, two of them labelled: the next three choices are of the other three."""
    data = toy.data_set()
    group = torch.arange(160) // 2 % 5  # training ids are 0, 1 of every 4
    features = 100 * torch.eye(5)[group] + torch.randn(160, 5, generator=torch.Generator().manual_seed(1))
    pool = Pool(DataSet(data.images, data.labels, data.train, data.val, data.test, data.classes, features=features))
    known = torch.stack([data.train[group[data.train] == label][0] for label in (1, 3)])
    pool.buy(known, data.labels[known])
    assert sorted(group[TypiClust().select(Unfitted(), pool, 3, stream(0, "query"))].tolist()) == [0, 2, 4]


def test_k_means_finds_the_groups_and_spread_takes_one_of_each():
    group = torch.arange(90) % 6
    x = 50 * torch.eye(6)[group] + torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
    labels, centres = clusters(x, 6, stream(1, "query"))
    assert all(len(labels[group == one].unique()) == 1 for one in range(6))
    for one in range(6):
        assert torch.allclose(centres[labels[group == one][0]], x[group == one].mean(0), atol=1e-3)
    assert sorted(group[spread(x, 6, stream(1, "query"))].tolist()) == [*range(6)]
    assert len(set(spread(torch.ones(9, 2), 5, stream(1, "query")).tolist())) == 5
    assert len(clusters(x, 70, stream(1, "query"))[1]) == 70  # by minibatches


@pytest.mark.parametrize("seed", [171, 311, 324, 382])
def test_spread_takes_each_cluster_s_own_most_central_point(seed: int) -> None:
    """A tight group beside scattered points: here a centre is nearest to a point of another cluster."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.cat([3 * torch.randn(12, 2, generator=rng), 0.3 * torch.randn(20, 2, generator=rng)])
    x[12:, 0] += 4
    labels, centres = clusters(x, 5, stream(1, "query"))
    distances = torch.cdist(centres, x, compute_mode="donot_use_mm_for_euclid_dist")
    assert (labels[distances.argmin(1)] != torch.arange(5)).any()
    chosen = spread(x, 5, stream(1, "query"))
    assert labels[chosen].tolist() == [*range(5)]
    for label, place in enumerate(chosen.tolist()):  # two points of a cluster are equally far from its centre
        assert float(distances[label, place]) == pytest.approx(float(distances[label, labels == label].min()))


def test_empty_clusters_choose_last_from_what_is_left() -> None:
    """Two different points, three times each, and five clusters: three are empty."""
    x = torch.tensor([[0.0, 1.0], [5.0, 0.0]])[torch.tensor([0, 1, 0, 1, 0, 1])]
    chosen = spread(x, 5, stream(1, "query")).tolist()
    assert len(set(chosen)) == 5
    assert {place % 2 for place in chosen[:2]} == {0, 1}
