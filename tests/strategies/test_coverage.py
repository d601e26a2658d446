"""Coverage against plain greedy by whole kernel matrices, and the ways in which published code goes wrong."""

from functools import partial
from itertools import combinations

import pytest
import torch
import toy
from torch.nn.functional import normalize

from al_runner.engine.drive import drive
from al_runner.pool import Pool
from al_runner.rng import Streams, stream
from al_runner.strategies import balls, lazy_greedy
from al_runner.strategies import coverage as module
from al_runner.strategies.balls import as_factors, ball_herding, close_pairs, purity_radius
from al_runner.strategies.coverage import MaxHerding, ProbCover, herding, kernel_of, likeness
from al_runner.types import DataSet, Unfitted

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def plain(x, others, labelled, n, kernel, width):
    """Every gain computed anew for every choice."""
    distances = torch.cdist(x, others, compute_mode="donot_use_mm_for_euclid_dist")
    values = {
        "rbf": lambda d: (-((d / width) ** 2)).exp(),
        "laplace": lambda d: (-d / width).exp(),
        "cauchy": lambda d: 1 / (1 + (d / width) ** 2),
        "tophat": lambda d: (d < width).double(),
    }[kernel]
    best = torch.zeros(len(others), dtype=torch.float64)
    for row in labelled:
        best = torch.maximum(best, values(torch.linalg.vector_norm(others - row, dim=1)))
    chosen = []
    for _ in range(n):
        gains = (values(distances) - best).clamp_min(0).sum(1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        best = torch.maximum(best, values(distances[chosen[-1]]))
    return chosen


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "cauchy", "tophat"])
@pytest.mark.parametrize("labelled", [0, 7])
@pytest.mark.parametrize("block", [7, 2048])  # 60 is no multiple of 7: the last rows count too
@pytest.mark.parametrize("pair", [0.01, 10_000])  # numbers a pair: a list of all close pairs, and none
def test_lazy_choices_are_those_of_plain_greedy(kernel, labelled, block, pair, monkeypatch):
    for room in (lazy_greedy, balls):
        monkeypatch.setattr(room, "BLOCK", block)
    monkeypatch.setattr(balls, "PAIR", pair)
    # Others are not the points themselves: two of these that have only each other left tie by symmetry.
    x, others, known = X[:50], X.flip(0, 1), X[50 : 50 + labelled]
    rule = partial(ball_herding, radius=0.9) if kernel == "tophat" else partial(herding, kernel=kernel_of(kernel, 0.9))
    found = rule(x, others, known, 12).tolist()
    assert found == plain(x, others, known, 12, kernel, 0.9)
    assert len(set(found)) == 12


@pytest.mark.parametrize("most", [0, 30, 10_000])
def test_all_close_pairs_are_listed_unless_they_are_too_many(most, monkeypatch):
    monkeypatch.setattr(balls, "BLOCK", 7)
    x, others = X[:40], X[20:]
    expected = (torch.cdist(x, others, compute_mode="donot_use_mm_for_euclid_dist") < 0.9).nonzero().tolist()
    assert len(expected) > 30
    pairs = close_pairs(as_factors(x)[0], as_factors(others)[1], 0.9, most, mirrored=False)
    assert (pairs is None) == (len(expected) > most)
    if pairs is not None:
        assert (pairs[0].diff() >= 0).all()
        assert sorted(zip(*(part.tolist() for part in pairs), strict=True)) == sorted(map(tuple, expected))


@pytest.mark.parametrize("radius", [0.3, 0.9, 1.5])
@pytest.mark.parametrize("labelled", [0, 3, 40])
def test_points_that_cover_each_other_are_compared_once(radius, labelled, monkeypatch):
    """The choices are those among equal points that are another tensor, also if most are covered already."""
    monkeypatch.setattr(balls, "BLOCK", 7)
    x, known = X[:50], X[-labelled:] if labelled else X[:0]
    seen = []

    def spied(*parts):
        seen.append(parts[-1])
        return close_pairs(*parts)

    monkeypatch.setattr(balls, "close_pairs", spied)
    chosen = [ball_herding(x, others, known, 12, radius).tolist() for others in (x, x.clone())]
    assert chosen[0] == chosen[1] == plain(x, x, known, 12, "tophat", radius)
    covered = bool(labelled) and int((torch.cdist(x, known).amin(1) < radius).sum()) > 25
    assert seen == [not covered, False]


@pytest.mark.parametrize("kernel", ["rbf", "tophat"])
def test_greedy_covers_almost_as_much_as_the_best_set(kernel):
    values = torch.cdist(X[:14], X).square() / 0.81
    values = (values < 1).double() if kernel == "tophat" else (-values).exp()
    best = max(float(values[list(some)].amax(0).sum()) for some in combinations(range(14), 3))
    rule = partial(ball_herding, radius=0.9) if kernel == "tophat" else partial(herding, kernel=kernel_of(kernel, 0.9))
    greedy = float(values[rule(X[:14], X, X[:0], 3)].amax(0).sum())
    assert (1 - 1 / 2.718281828) * best <= greedy <= best + 1e-9


def test_when_all_is_covered_the_earliest_are_chosen():
    x = X[[0] * 5 + [1] * 5]
    assert ball_herding(x, x, X[:2], 4, 0.1).tolist() == [0, 1, 2, 3]
    assert ball_herding(x, x, X[1:2], 4, 0.1).tolist() == [0, 1, 2, 3]
    assert ball_herding(x, x, X[:1], 10, 0.1).tolist() == [5, 0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_the_purity_radius_is_the_largest():
    labels = (X[:, 0] > 0).long()
    distances = torch.cdist(X, X, compute_mode="donot_use_mm_for_euclid_dist")

    def purity(radius):
        inside = distances < radius
        return float((~inside | (labels[:, None] == labels)).all(1).double().mean())

    for wanted in (0.5, 0.8, 0.95):
        radius = purity_radius(X, labels, wanted)
        assert purity(radius * (1 - 1e-9)) >= wanted
        assert purity(radius * (1 + 1e-6)) < wanted


def pool(features=None):
    data = toy.data_set()
    return Pool(DataSet(data.images, data.labels, data.train, data.val, data.test, data.classes, features=features))


def test_it_chooses_by_the_features_beside_the_images():
    """Three tight groups of features, of 40, 30 and 10 training images: the first choices take one of each."""
    held = pool()
    group = torch.zeros(160, dtype=torch.int64)
    group[held.unlabelled] = torch.tensor([0] * 40 + [1] * 30 + [2] * 10)
    features = 100 * torch.eye(3)[group] + torch.randn(160, 3, generator=torch.Generator().manual_seed(1))
    for strategy in (MaxHerding(), ProbCover(radius=0.5), ProbCover()):
        own = pool(features)
        for expected in (0, 1, 2):
            chosen = drive(strategy.query(Unfitted(), own, 1, Streams(0, 0)))
            assert group[chosen].tolist() == [expected]
            own.buy(chosen, toy.data_set().labels[chosen])


def test_the_radius_is_found_once_a_run_and_a_resumed_run_finds_the_same(monkeypatch):
    """Six rounds in one run, and the same rounds each in a run that was resumed just before, on overlapping groups."""
    radii = []

    def counted(*parts):
        radii.append(purity_radius(*parts))
        return radii[-1]

    monkeypatch.setattr(module, "purity_radius", counted)
    features = torch.randn(160, 3, generator=torch.Generator().manual_seed(5))
    strategy, whole, rounds = ProbCover(purity=0.8), pool(features), []
    for round_ in range(6):
        rounds.append(drive(strategy.query(Unfitted(), whole, 4, Streams(3, round_))))
        whole.buy(rounds[-1], toy.data_set().labels[rounds[-1]])
    assert len(radii) == 1
    for round_ in range(6):
        resumed = pool(features)
        for ids in rounds[:round_]:
            resumed.buy(ids, toy.data_set().labels[ids])
        assert drive(strategy.query(Unfitted(), resumed, 4, Streams(3, round_))).tolist() == rounds[round_].tolist()
    assert len(radii) == 7 and len(set(radii)) == 1
    # Other options have a radius of their own, and another seed has k-means start elsewhere.
    drive(ProbCover(purity=0.3).query(Unfitted(), whole, 4, Streams(3, 6)))
    drive(strategy.query(Unfitted(), pool(features), 4, Streams(4, 0)))
    assert len(radii) == 9 and len(set(radii)) > 1


def test_lengths_of_features_make_no_difference():
    features = torch.randn(160, 5, generator=torch.Generator().manual_seed(2))
    longer = features * torch.rand(160, 1, generator=torch.Generator().manual_seed(3)).add(0.5)
    chosen = [MaxHerding().select(Unfitted(), pool(some), 9, stream(0, "query")) for some in (features, longer)]
    assert chosen[0].tolist() == chosen[1].tolist()


def test_the_width_is_one_and_not_by_the_number_of_features():
    x, y = normalize(torch.tensor([[1.0, 0.0]])), normalize(torch.tensor([[0.0, 1.0]]))
    assert likeness(as_factors(x)[0], as_factors(y)[1], kernel_of("rbf", MaxHerding().width)).item() == pytest.approx(
        torch.tensor(-2.0).exp().item()
    )
