"""The programmes against a search through all choices."""

import logging
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from distances import distances, points, radius
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.core_set import k_center
from al_runner.strategies.core_set_robust import CoreSetRobust, Problem, robust_k_center


def radii(x: Tensor, centres: Tensor, n: int, outliers: int) -> list[float]:
    """The radius of every choice of n points, from the definition."""
    found = []
    for some in combinations(range(len(x)), n):
        least = distances(x, torch.cat([centres, x[list(some)]])).amin(1).sort(descending=True).values
        found.append(float(least[outliers]))
    return found


@pytest.mark.parametrize("outliers", [0, 1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_the_radius_is_the_smallest_possible(seed: int, outliers: int) -> None:
    x, centres, n = points(11, seed), points(seed % 3, seed + 100), 2 + seed % 2
    cover = robust_k_center(x, centres, n, outliers, gap=0, seconds=60)
    least = min(radii(x, centres, n, outliers))
    assert cover.radius == pytest.approx(least, rel=1e-12)
    assert (cover.bound, cover.gap, cover.undecided) == (cover.radius, 0, 0)
    assert len(set(cover.chosen.tolist())) == n
    own = distances(x, torch.cat([centres, x[cover.chosen]])).amin(1).sort(descending=True).values
    assert float(own[outliers]) == pytest.approx(least, rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_with_a_gap_the_bound_still_holds_and_the_gap_is_kept(seed: int) -> None:
    x, centres = points(12, seed), points(2, seed + 100)
    cover = robust_k_center(x, centres, 3, 1, gap=0.2, seconds=60)
    least = min(radii(x, centres, 3, 1))
    assert cover.bound <= least * (1 + 1e-12) <= cover.radius * (1 + 1e-9)
    assert cover.gap == pytest.approx(1 - cover.bound / cover.radius)
    assert cover.gap <= 0.2


def test_greedy_covers_an_outlier_and_the_programme_does_not() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [1000.0]], dtype=torch.float64)
    cover = robust_k_center(x, x[:0], 2, 1, gap=0, seconds=60)
    assert sorted(cover.chosen.tolist()) == [1, 4]
    assert cover.radius == 1
    assert 6 in k_center(x, x[:0], 2).tolist()


def test_a_choice_of_all_points_or_among_copies_has_radius_0() -> None:
    x = points(6, 0)
    assert robust_k_center(x, x[:1], 6, 0, 0, 60).radius == 0
    assert sorted(robust_k_center(x, x[:1], 6, 2, 0, 60).chosen.tolist()) == list(range(6))
    copies = robust_k_center(torch.ones(5, 2, dtype=torch.float64), x[:0], 2, 0, 0, 60)
    assert (copies.radius, len(set(copies.chosen.tolist()))) == (0, 2)


def test_without_time_the_greedy_choice_stays_and_the_gap_is_reported() -> None:
    """50 of 400 points need more time than the limit: nothing is decided, and the bound is half of greedy's radius."""
    x, n = points(400, 0, 8), 50
    cover = robust_k_center(x, x[:1], n, 0, gap=0.01, seconds=1e-9)
    greedy = k_center(x, x[:1], n)
    assert cover.programmes == cover.undecided > 0
    assert cover.chosen.tolist() == greedy.tolist()
    assert cover.radius == pytest.approx(radius(x, torch.cat([x[:1], x[greedy]])))
    assert cover.gap == pytest.approx(0.5)


def test_a_programme_is_solved_impossible_or_undecided() -> None:
    x = torch.arange(6, dtype=torch.float64)[:, None]
    problem = Problem(torch.cdist(x, x), torch.full((6,), torch.inf, dtype=torch.float64), n=2, outliers=0)
    chosen, decided = problem.within(1.0, 60)
    assert chosen is not None
    assert (sorted(chosen.tolist()), decided) == ([1, 4], True)
    assert problem.within(0.9, 60) == (None, True)
    alone, decided = replace(problem, outliers=4).within(0.0, 60)
    assert alone is not None
    assert (len(alone), decided) == (2, True)
    assert problem.next_distance(1.0) == 2


def test_the_strategy_returns_ids_leaves_out_a_share_and_logs_its_gap(
    net: nn.Module, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    fitted, strategy = SingleNet(net, 0), CoreSetRobust(outliers=0.1, gap=0)
    with caplog.at_level(logging.INFO):
        ids = strategy.select(fitted, pool, 3, stream(0, "query"))
    assert set(ids.tolist()) <= set(pool.candidates.tolist())
    x, centres = (net[:5](pool.x(ids)).detach() for ids in (pool.candidates, pool.labelled))  # type: ignore[index]
    least = min(radii(x, centres, 3, 2))
    assert f"radius {least:.4g} for all but 2 of 14 candidates, at best {least:.4g} (gap 0.0 %)" in caplog.text


@pytest.mark.parametrize(("share", "left_out"), [(1e-4, 1), (0.1, 2), (0.0, 0)])
def test_a_share_above_0_leaves_out_at_least_one(
    share: float, left_out: int, net: nn.Module, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        CoreSetRobust(outliers=share).select(SingleNet(net, 0), pool, 3, stream(0, "query"))
    assert f"for all but {left_out} of 14 candidates" in caplog.text


def test_it_gets_no_more_candidates_than_max_candidates() -> None:
    budget = Budget(initial=10, query=20, candidates="30x")
    assert CoreSetRobust(max_candidates=100).plan(budget).candidate_count == 100
    assert CoreSetRobust().plan(budget).candidate_count == 600
    with pytest.raises(UsageError, match=r"max_candidates is 19, fewer than budget.query=20"):
        CoreSetRobust(max_candidates=19).plan(budget)


@pytest.mark.parametrize("options", [{"outliers": 1}, {"outliers": -0.1}, {"gap": 1}, {"time_limit": 0}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"strategy.{next(iter(options))} is"):
        CoreSetRobust(**options)  # type: ignore[arg-type]
