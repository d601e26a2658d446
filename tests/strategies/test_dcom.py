"""DCoM against plain loops over pairs of points (Mishal & Weinshall, 2024)."""

from math import exp

import pytest
import torch
import toy
from torch import Tensor

from al_runner.engine.drive import drive
from al_runner.pool import Pool
from al_runner.rng import Streams, stream
from al_runner.strategies.coverage import ProbCover
from al_runner.strategies.dcom import DCoM, competence, covered, dense_and_uncertain, pure_radii, uncertainties
from al_runner.types import DataSet

N = 40


def cloud(seed: int, n: int = N) -> Tensor:
    """Points of length 1 in two dimensions, double precision."""
    return torch.nn.functional.normalize(torch.randn(n, 2, generator=stream(seed, "x"), dtype=torch.float64))


def distance(a: Tensor, b: Tensor) -> float:
    return float(torch.dist(a, b))


def radius_by_hand(centre: Tensor, own: int, x: Tensor, labels: list[int], purity: float, widest: float) -> float:
    low, high = 0.0, widest
    while high - low > 0.05:
        middle = (low + high) / 2
        inside = [label for point, label in zip(x, labels, strict=True) if distance(centre, point) < middle]
        if inside.count(own) >= purity * len(inside) - 1e-9:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@pytest.mark.parametrize("purity", [0.4, 0.55, 0.9])
def test_radii_are_those_of_a_bisection_by_hand(purity: float) -> None:
    x, labels = cloud(0), (torch.arange(N) * 7 % 11 % 3)
    found = pure_radii(x[:9], labels[:9], x, labels, purity, 1.1, 0.05)
    wanted = [radius_by_hand(x[i], int(labels[i]), x, labels.tolist(), purity, 1.1) for i in range(9)]
    assert found.tolist() == pytest.approx(wanted, abs=1e-12)
    assert len(set(wanted)) > 2


def test_one_label_gives_the_widest_balls_and_strangers_the_smallest() -> None:
    x = cloud(1)
    same = pure_radii(x[:2], torch.zeros(2), x, torch.zeros(N), 0.6, 1.1, 0.05)
    assert same.tolist() == pytest.approx([1.1 * (1 - 1 / 64)] * 2)
    alone = pure_radii(x[:1], torch.ones(1), x[:1].expand(5, 2), torch.tensor([1, 0, 0, 0, 0]), 0.6, 1.1, 0.05)
    assert alone.tolist() == pytest.approx([1.1 / 64])


def test_covered_points_by_hand() -> None:
    x, radii = cloud(2), torch.tensor([0.1, 0.5, 0.3], dtype=torch.float64)
    found = covered(x[3:], x[:3], radii)
    pairs = [any(distance(point, x[i]) < float(radii[i]) for i in range(3)) for point in x[3:]]
    assert found.tolist() == pairs
    assert 0 < sum(pairs) < len(pairs)


def test_competence() -> None:
    assert competence(1.0, 30, 0.9) == 1
    assert competence(0.9, 30, 0.9) == pytest.approx((1 + exp(-3)) / 2)
    assert competence(0.2, 30, 0.9) < 1e-8


def test_uncertainty_goes_from_0_to_1() -> None:
    probs = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2]])
    assert uncertainties(probs).tolist() == pytest.approx([0, 0.5 / 0.7, 1])
    assert uncertainties(probs[:1]).tolist() == [0]


def choices_by_hand(x: Tensor, doubt: Tensor, free: Tensor, n: int, radius: float, trust: float) -> list[int]:
    chosen: list[int] = []
    open_points = [*free]
    for _ in range(n):
        left = [i for i in range(len(x)) if i not in chosen]
        dense = {i: sum(distance(x[i], point) < radius for point in open_points) for i in left}
        most, worst = max(dense.values()) or 1, max(float(doubt[i]) for i in left) or 1.0
        score = {i: trust * float(doubt[i]) / worst + (1 - trust) * dense[i] / most for i in left}
        chosen.append(max(left, key=lambda i: score[i]))
        open_points = [point for point in open_points if not distance(x[chosen[-1]], point) < radius]
    return chosen


@pytest.mark.parametrize("trust", [0.0, 0.3, 0.8, 1.0])
def test_choices_are_those_of_plain_loops(trust: float) -> None:
    x, doubt = cloud(3), torch.rand(N, generator=stream(3, "doubt"), dtype=torch.float64)
    found = dense_and_uncertain(x[:25], doubt[:25], x[5:], 12, 0.25, trust)
    assert found.tolist() == choices_by_hand(x[:25], doubt[:25], x[5:], 12, 0.25, trust)


def test_it_goes_on_when_nothing_is_free_and_nothing_is_doubtful() -> None:
    x = cloud(4)
    assert dense_and_uncertain(x, torch.zeros(N), x[:0], 5, 0.2, 0.5).tolist() == [0, 1, 2, 3, 4]


def made_pool(n: int, labelled: int) -> tuple[Pool, Tensor, Tensor]:
    """A pool of one-pixel images with features on a circle, its points, and the net's probabilities."""
    ids = torch.arange(n)
    x, labels = cloud(5, n), (ids * 7 % 11) % 3
    data = DataSet(
        ids.to(torch.uint8)[:, None, None, None], labels, ids, ids[:0], ids[:0], ("a", "b", "c"), features=x.float()
    )
    probs = torch.randn(n, 3, generator=stream(5, "probs"), dtype=torch.float64).softmax(1)
    return toy.bought(data, ids[:labelled]), x, probs


@pytest.mark.parametrize(("labelled", "start"), [(3, 0.2), (12, 0.2), (12, 0.6)])
def test_a_query_by_hand(labelled: int, start: float) -> None:
    pool, x, probs = made_pool(N, labelled)
    fitted = toy.Table(probs.log()[:, None])
    strategy = DCoM(start=start, steepness=5, centre=0.5)
    chosen = drive(strategy.query(fitted, pool, 6, Streams(0, 1)))  # type: ignore[arg-type]
    known, others = range(labelled), range(labelled, N)
    labels = [*pool.y(pool.labelled).tolist(), *probs[labelled:].argmax(1).tolist()]

    def inside(radii: dict[int, float]) -> set[int]:
        return {j for j in others if any(distance(x[i], x[j]) < radii[i] for i in known)}

    purity = 0.4 + 0.2 * (labelled + len(inside(dict.fromkeys(known, start)))) / N
    radii = {i: radius_by_hand(x[i], labels[i], x, labels, purity, 1.1) for i in known}
    balls = inside(radii)
    trust = competence((labelled + len(balls)) / N, 5, 0.5)
    gap = probs.topk(2).values
    doubt = (gap := gap[:, 0] - gap[:, 1]).max() - gap
    order = pool.candidates[torch.randperm(N - labelled, generator=stream(0, "query", 1))]
    free = x[[j for j in others if j not in balls]]
    positions = choices_by_hand(x[order], doubt[order], free, 6, sum(radii.values()) / labelled, trust)
    assert chosen.tolist() == order[positions].tolist()
    assert 0.01 < trust < 0.99


def test_the_start_is_that_of_prob_cover() -> None:
    pool = made_pool(N, 3)[0]
    found = DCoM().start_of(pool, Streams(0, 7))
    assert found == ProbCover().pure_radius(pool, Streams(0, 0)("clusters"))
    assert DCoM(start=0.3).start_of(pool, Streams(0, 7)) == 0.3
