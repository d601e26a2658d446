"""Cluster-Margin: clusters that are plain to see, and the order of the round."""

from collections import Counter
from typing import Any

import pytest
import torch
from sklearn.cluster import AgglomerativeClustering
from torch import nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies import cluster_margin
from al_runner.strategies.cluster_margin import ClusterMargin, clusters, round_robin
from al_runner.strategies.uncertainty import margin


def test_far_groups_are_the_clusters() -> None:
    rng = torch.Generator().manual_seed(0)
    centres = 100 * torch.randn(5, 3, generator=rng)
    of = torch.arange(40) % 5
    found = clusters(centres[of] + torch.randn(40, 3, generator=rng), 5)
    assert len({(int(a), int(b)) for a, b in zip(of, found, strict=True)}) == 5
    assert clusters(torch.rand(1, 3), 1).tolist() == [0]
    assert sorted(clusters(torch.zeros(6, 3), 2).unique().tolist()) == [0, 1]


def test_average_linkage_joins_by_the_mean_distance() -> None:
    """By the nearest members 2.6 would join 1; by the mean it is 2.1 from 0 and 1, and 1.7 from 4.3."""
    first, second, third, last = clusters(torch.tensor([[0.0], [1.0], [2.6], [4.3]]), 2).tolist()
    assert first == second != third == last


@pytest.mark.parametrize("count", [1, 2, 37, 299, 300])
def test_the_clusters_are_those_of_another_library(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 points occur twice, so that many distances are equal."""
    monkeypatch.setattr(cluster_margin, "BLOCK", 128)
    x = torch.rand(300, 5, generator=torch.Generator().manual_seed(0))
    x[260:] = x[:40]
    found = clusters(x, count)
    theirs = AgglomerativeClustering(n_clusters=count, linkage="average").fit_predict(x.double().numpy())
    assert len(found.unique()) == count == len(set(theirs))
    if count < 260:  # of more clusters, which of the twins are still apart is chance
        assert len(set(zip(found.tolist(), theirs.tolist(), strict=True))) == count


def test_distances_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_margin, "BLOCK", 16)
    x = 100 + torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cluster_margin.distances(x), torch.pdist(x))


def test_groups_take_turns_and_the_smallest_is_first() -> None:
    groups = torch.tensor([7, 7, 7, 7, 2, 2, 5, 5, 5, 9])
    orders = set()
    for seed in range(20):
        chosen = round_robin(groups, 10, stream(seed, "query"))
        assert groups[chosen].tolist() == [9, 2, 5, 7, 2, 5, 7, 5, 7, 7]
        assert sorted(chosen.tolist()) == list(range(10))
        assert torch.equal(round_robin(groups, 4, stream(seed, "query")), chosen[:4])
        orders.add(tuple(chosen.tolist()))
    assert len(orders) > 10


def test_groups_of_equal_size_are_ordered_by_number() -> None:
    assert torch.tensor([3, 1, 3, 1])[round_robin(torch.tensor([3, 1, 3, 1]), 3, stream(0, "query"))].tolist() == [
        1,
        3,
        1,
    ]


def test_the_batch_comes_from_the_smallest_margins(net: nn.Module, pool: Pool) -> None:
    fitted = SingleNet(net, 0)
    order = margin(fitted.log_probs(pool.x(pool.candidates))).argsort(descending=True)
    smallest = set(pool.candidates[order[:6]].tolist())
    seen = Counter[int]()
    for seed in range(30):
        strategy = ClusterMargin(uncertain=2, cluster_size=4)
        seen.update(strategy.select(fitted, pool, 3, stream(seed, "query")).tolist())
    assert set(seen) <= smallest
    assert len(seen) > 3
    exactly = ClusterMargin(uncertain=1).select(fitted, pool, 6, stream(0, "query"))
    assert set(exactly.tolist()) == smallest


@pytest.mark.parametrize("seed", range(5))
def test_the_batch_is_one_of_every_cluster_of_the_uncertain(seed: int, net: nn.Module, pool: Pool) -> None:
    """14 candidates in 4 clusters, 10 preselected by margin; the query is as large as the number of clusters there."""
    fitted, ids = SingleNet(net, 0), pool.candidates.sort().values
    of = clusters(fitted.features(pool.x(ids)), 4)
    smallest = margin(fitted.log_probs(pool.x(ids))).argsort(descending=True)[:10]
    sizes = Counter(of[smallest].tolist())
    cluster = dict(zip(ids.tolist(), of.tolist(), strict=True))
    chosen = ClusterMargin(uncertain=2.5, cluster_size=3).select(fitted, pool, 4, stream(seed, "query"))
    assert set(chosen.tolist()) <= set(ids[smallest].tolist())
    order = sorted(sizes, key=lambda group: (sizes[group], group))
    turns = [group for turn in range(10) for group in order if sizes[group] > turn]
    assert [cluster[id_] for id_ in chosen.tolist()] == turns[:4]
    assert 1 < len(sizes) < 10


def test_it_gets_no_more_candidates_than_max_candidates() -> None:
    budget = Budget(initial=10, query=20, candidates="30x")
    assert ClusterMargin(max_candidates=100).plan(budget).candidate_count == 100
    with pytest.raises(UsageError, match=r"max_candidates is 19, fewer than budget\.query=20"):
        ClusterMargin(max_candidates=19).plan(budget)


@pytest.mark.parametrize(("option", "value"), [("uncertain", 0.5), ("uncertain", float("nan")), ("cluster_size", 0)])
def test_options_that_mean_nothing_are_refused(option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"strategy\.{option} is {value}"):
        ClusterMargin(**{option: value})
