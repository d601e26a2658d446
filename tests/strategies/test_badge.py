"""Gradient embeddings against autograd, k-means++ against its definition."""

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare
from standin import StandIn
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies import badge
from al_runner.strategies.badge import Badge, Embeddings, drawn, gradient_embeddings, k_means_plus_plus


def formed(points: Embeddings) -> Tensor:
    return torch.einsum("ny,nd->nyd", points.a, points.h).flatten(1)


def points(n: int, seed: int = 0) -> Embeddings:
    rng = torch.Generator().manual_seed(seed)
    return Embeddings(*(torch.randn(n, size, generator=rng, dtype=torch.float64) for size in (3, 5)))


def test_embeddings_are_the_last_layer_s_gradients() -> None:
    torch.manual_seed(0)
    h, layer = torch.randn(6, 5, dtype=torch.float64), nn.Linear(5, 3, dtype=torch.float64)
    logits = layer(h)
    for row, embedding in zip(logits, formed(gradient_embeddings(logits.detach().log_softmax(1), h)), strict=True):
        loss = -row.log_softmax(0)[row.argmax()]
        (gradient,) = torch.autograd.grad(loss, layer.weight, retain_graph=True)
        torch.testing.assert_close(embedding, gradient.flatten(), rtol=1e-12, atol=1e-14)


def test_norms_and_distances_are_those_of_the_formed_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    some = points(20)
    vectors = formed(some)
    torch.testing.assert_close(some.squared_norms, vectors.square().sum(1))
    distances = (vectors[:, None] - vectors[3:12]).square().sum(2)
    torch.testing.assert_close(some.squared_distances(some[3:12]), distances, rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(badge, "NUMBERS", 30)  # three rows at a time
    torch.testing.assert_close(some.nearest(some[3:12]), distances.amin(1), rtol=1e-9, atol=1e-9)
    assert (some.squared_distances(some).diagonal() == 0).all()


def test_the_first_is_the_longest_or_any() -> None:
    some = points(20)
    longest = int(formed(some).norm(dim=1).argmax())
    firsts = {int(k_means_plus_plus(some, 1, stream(seed, "query"))[0]) for seed in range(20)}
    assert firsts == {longest}
    anywhere = {int(k_means_plus_plus(some, 1, stream(seed, "query"), largest_first=False)[0]) for seed in range(200)}
    assert len(anywhere) > 15


def test_the_second_is_drawn_by_its_squared_distance_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 4,000 draws every count is within 4.5 standard deviations of its expectation."""
    monkeypatch.setattr(badge, "TRIES", 16)  # quicker than 256
    some, draws = points(6), 4000
    vectors = formed(some)
    first = int(vectors.norm(dim=1).argmax())
    squares = (vectors - vectors[first]).square().sum(1)
    chances = squares / squares.sum()
    counts = Counter(int(k_means_plus_plus(some, 2, stream(seed, "query"))[1]) for seed in range(draws))
    assert counts[first] == 0
    for place, chance in enumerate(chances.tolist()):
        assert abs(counts[place] - draws * chance) < 4.5 * (draws * chance * (1 - chance)) ** 0.5 + 1e-9


def test_the_second_and_the_third_are_drawn_by_the_squared_distance_to_the_nearest_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Points on a line at 10, 9, 8 and 6: every pair's chance by hand, 4,000 draws, 4.5 standard deviations.

    Distances in place of their squares, or to the newest choice in place of the nearest, give other chances.
    """
    monkeypatch.setattr(badge, "TRIES", 16)  # quicker than 256
    line = torch.tensor([10.0, 9.0, 8.0, 6.0], dtype=torch.float64)
    some, draws = Embeddings(torch.ones(4, 1).double(), line[:, None]), 4000
    counts = Counter(tuple(k_means_plus_plus(some, 3, stream(seed, "query")).tolist()) for seed in range(draws))
    chances = {
        (0, 1, 2): 1 / 21 * 1 / 10,  # 8 is 1 from 9, and 6 is 3 from it
        (0, 1, 3): 1 / 21 * 9 / 10,
        (0, 2, 1): 4 / 21 * 1 / 5,  # 9 is 1 from 10 and from 8, and 6 is 2 from 8
        (0, 2, 3): 4 / 21 * 4 / 5,
        (0, 3, 1): 16 / 21 * 1 / 5,  # 9 is 1 from 10, and 8 is 2 from 10 and from 6
        (0, 3, 2): 16 / 21 * 4 / 5,
    }
    assert counts.keys() <= chances.keys()
    for places, chance in chances.items():
        assert abs(counts[places] - draws * chance) < 4.5 * (draws * chance * (1 - chance)) ** 0.5


def by_rule(vectors: Tensor, n: int, first: int) -> dict[tuple[int, ...], float]:
    """The chance of every order of `n` choices, from the definition of k-means++."""
    chances = {(first,): 1.0}
    for _ in range(n - 1):
        longer = {}
        for order, chance in chances.items():
            nearest = (vectors[:, None] - vectors[list(order)]).square().sum(2).amin(1)
            for place, share in enumerate((nearest / nearest.sum()).tolist()):
                if share > 0:
                    longer[(*order, place)] = chance * share
        chances = longer
    return chances


@pytest.mark.parametrize(("tries", "few"), [(256, 16), (8, 1), (4, 2), (1, 1), (4, 5)])
def test_every_order_of_choices_has_its_chance(tries: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of five points, whether bounds are lowered never, sometimes or before every proposal; 3,000 draws.

    Two points are close to each other, so that bounds are far too high once one of them is chosen.
    """
    monkeypatch.setattr(badge, "TRIES", tries)
    monkeypatch.setattr(badge, "FEW", few)
    line = torch.tensor([10.0, 6.0, 5.0, 1.0, 9.0], dtype=torch.float64)[:, None]
    chances = by_rule(line, 4, first=0)
    some, rng = Embeddings(torch.ones(5, 1).double(), line), torch.Generator().manual_seed(0)
    counts = Counter(tuple(k_means_plus_plus(some, 4, rng).tolist()) for _ in range(3000))
    assert len(chances) == 24 and counts.keys() <= chances.keys()
    common = [order for order, chance in chances.items() if 3000 * chance >= 5]
    rare = 1 - sum(chances[order] for order in common)
    wanted = [3000 * chances[order] for order in common] + [3000 * rare]
    found = [counts[order] for order in common]
    assert chisquare([*found, 3000 - sum(found)], wanted).pvalue > 0.001


@pytest.mark.parametrize("tries", [4, 256])
def test_each_point_is_chosen_once_and_copies_last(tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty points, of which ten are copies of one and ten are zero."""
    monkeypatch.setattr(badge, "TRIES", tries)
    some = points(30)
    h = torch.cat([some.h[:10], some.h[:1].expand(10, 5), torch.zeros(10, 5).double()])
    for seed in range(20):
        chosen = k_means_plus_plus(Embeddings(some.a[:1].expand(30, 3), h), 30, stream(seed, "query")).tolist()
        assert sorted(chosen) == list(range(30))
        kinds = [0 if 10 <= place < 20 else 20 if place >= 20 else place for place in chosen]
        assert len(set(kinds[:11])) == 11


def test_if_all_vectors_are_zero_all_orders_are_equally_likely() -> None:
    """Six orders of three points, 3,000 draws."""
    nothing, rng = Embeddings(torch.zeros(3, 2).double(), torch.ones(3, 4).double()), torch.Generator().manual_seed(0)
    counts = Counter(tuple(k_means_plus_plus(nothing, 3, rng).tolist()) for _ in range(3000))
    assert len(counts) == 6 and chisquare(list(counts.values())).pvalue > 0.001


def test_a_shorter_query_is_the_beginning_of_a_longer_one_whatever_the_rows_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = points(400)
    for seed in range(5):
        monkeypatch.setattr(badge, "NUMBERS", 2**18)
        longer = k_means_plus_plus(some, 300, stream(seed, "query")).tolist()
        assert len(set(longer)) == 300
        monkeypatch.setattr(badge, "NUMBERS", 100)
        assert k_means_plus_plus(some, 40, stream(seed, "query")).tolist() == longer[:40]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
def test_a_gpu_chooses_the_same() -> None:
    some = points(50)
    chosen = k_means_plus_plus(some, 20, stream(0, "query"))
    with StandIn():
        there = Embeddings(some.a.cuda(), some.h.cuda())
        again = k_means_plus_plus(there, 20, stream(0, "query"))
        assert again.is_cuda and again.tolist() == chosen.tolist()


def test_two_choices_take_one_from_each_of_two_far_groups() -> None:
    """A thousand images near one point, ten near another: a draw by squared distance takes one of each group."""
    near, far = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    h = torch.cat([near.expand(1000, 2), far.expand(10, 2)]).double()
    h = h + 1e-4 * torch.randn(h.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for seed in range(20):
        chosen = k_means_plus_plus(Embeddings(torch.ones(1010, 1).double(), h), 2, stream(seed, "query"))
        assert len({int(place) < 1000 for place in chosen}) == 2


@pytest.mark.parametrize("n", [1, 5, 8])
def test_copies_are_chosen_once_each_when_nothing_else_is_left(n: int) -> None:
    copies = Embeddings(torch.ones(8, 2).double(), torch.ones(8, 3).double())
    assert len(set(k_means_plus_plus(copies, n, stream(0, "query")).tolist())) == n


def test_a_chance_of_zero_is_never_drawn() -> None:
    chances = torch.tensor([0.0, 1e-300, 0.0, 5.0, 0.0])
    places = {int(drawn(chances, stream(seed, "query"))) for seed in range(200)}
    assert places == {3}
    assert int(drawn(torch.tensor([0.0, 1e-300, 0.0], dtype=torch.float64), stream(0, "query"))) == 1


def test_predictions_that_are_nan_are_an_error_and_no_random_choice() -> None:
    broken = Embeddings(torch.full((4, 2), torch.nan), torch.ones(4, 3))
    with pytest.raises(ArithmeticError, match="a gradient is not finite: the net computes NaN"):
        k_means_plus_plus(broken, 2, stream(0, "query"))


@pytest.mark.parametrize("first", ["largest", "random"])
def test_the_strategy_draws_among_the_gradients_of_its_candidates(first: str, net: nn.Module, pool: Pool) -> None:
    """Against the gradients of the loss with respect to the last layer's weights, computed one by one."""
    ids, last = pool.candidates.sort().values, dict(net.named_parameters())["5.weight"]
    found = []
    for id_ in ids:
        log_probs = net(pool.x(id_[None]))[0].log_softmax(0)
        found.append(torch.autograd.grad(-log_probs.max(), last)[0].flatten())
    vectors = Embeddings(torch.ones(len(ids), 1, dtype=torch.float64), torch.stack(found))
    for seed in range(10):
        wanted = k_means_plus_plus(vectors, 5, stream(seed, "query"), first == "largest")
        chosen = Badge(first=first).select(SingleNet(net, 0), pool, 5, stream(seed, "query"))
        assert chosen.tolist() == ids[wanted].tolist()


def test_an_unknown_value_of_first_is_refused() -> None:
    with pytest.raises(UsageError, match="it must be largest or random"):
        Badge(first="smallest")
