"""BAIT's Fisher matrices against autograd, its traces and choices against whole matrices that are inverted again."""

from typing import Any

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.plain import SingleNet
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies import bait as module
from al_runner.strategies.bait import Bait, Points, Trace, bait

CLASSES, FEATURES = 3, 4


def points(n: int, seed: int = 0) -> Points:
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, CLASSES, generator=rng, dtype=torch.float64)
    return Points.of(logits.log_softmax(1), torch.randn(n, FEATURES, generator=rng, dtype=torch.float64))


def matrices(some: Points) -> Tensor:
    vectors = torch.stack([some.vectors(place) for place in torch.arange(len(some))])
    return vectors @ vectors.mT


def test_an_image_s_matrix_is_the_expected_outer_product_of_its_gradients() -> None:
    torch.manual_seed(0)
    h, layer = torch.randn(5, FEATURES, dtype=torch.float64), nn.Linear(FEATURES, CLASSES, dtype=torch.float64)
    log_probs = layer(h).log_softmax(1)
    for row, matrix in zip(log_probs, matrices(Points.of(log_probs.detach(), h)), strict=True):
        expected = torch.zeros_like(matrix)
        for value in row:
            (gradient,) = torch.autograd.grad(value, layer.weight, retain_graph=True)
            expected += value.exp().detach() * gradient.flatten().outer(gradient.flatten())
        torch.testing.assert_close(matrix, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rows", [1, 100, 2**22])
def test_products_in_parts_are_those_of_the_whole_vectors(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUMBERS", rows)
    some, size = points(7), CLASSES * FEATURES
    matrix, columns = torch.rand(size, size).double(), torch.rand(size, 2).double()
    vectors = torch.stack([some.vectors(place) for place in torch.arange(7)])
    torch.testing.assert_close(some.fisher(), matrices(some).sum(0))
    torch.testing.assert_close(some.between(matrix), vectors.mT @ matrix @ vectors)
    torch.testing.assert_close(some.times(columns), vectors.mT @ columns)


def two_outcomes(some: Points, outcomes: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The sum over outcomes of chance [N] times (direction [N, C] (x) h) squared, [N, C D, C D]."""
    vectors = [(chance, torch.einsum("nc,nd->ncd", way, some.h).flatten(1)) for chance, way in outcomes]
    return sum(chance[:, None, None] * v[:, :, None] * v[:, None] for chance, v in vectors)


def test_the_two_most_likely_classes_count_with_chances_that_add_to_1() -> None:
    rng = torch.Generator().manual_seed(3)
    p, h = torch.rand(6, 4, generator=rng).double(), torch.randn(6, FEATURES, generator=rng).double()
    p = p / p.sum(1, keepdim=True)
    some = Points.of(p.log(), h, "top2")
    outcomes = []
    for place in (-1, -2):
        classes = p.argsort(1)[:, place]
        chance = p.gather(1, classes[:, None])[:, 0] / p.sort(1).values[:, -2:].sum(1)
        outcomes.append((chance, torch.nn.functional.one_hot(classes, 4) - p))
    assert some.a.shape == (6, 4, 2)
    torch.testing.assert_close(matrices(some), two_outcomes(some, outcomes))
    two = Points.of(p[:, :2].log().log_softmax(1), h)  # with two classes nothing is left out
    torch.testing.assert_close(matrices(Points.of(p[:, :2].log().log_softmax(1), h, "top2")), matrices(two))


def test_the_binary_question_is_a_logistic_regression_on_the_features() -> None:
    rng = torch.Generator().manual_seed(4)
    p, h = torch.rand(6, 4, generator=rng).double(), torch.randn(6, FEATURES, generator=rng).double()
    p = p / p.sum(1, keepdim=True)
    some, most = Points.of(p.log(), h, "binary"), p.amax(1)
    right, wrong = (most, (1 - most)[:, None]), (1 - most, -most[:, None])
    torch.testing.assert_close(matrices(some), two_outcomes(some, [right, wrong]))
    sure = torch.tensor([[-1e-20, -46.0]], dtype=torch.float64)  # 1 - p would be 0 in double precision
    assert float(Points.of(sure, h[:1], "binary").a) == pytest.approx(torch.tensor(-23.0).double().exp().item())


@pytest.mark.parametrize("expectation", ["top2", "binary"])
@pytest.mark.parametrize("rows", [1, 2**22])
def test_smaller_matrices_give_the_greedy_choice_too(
    expectation: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS", rows)
    rng = torch.Generator().manual_seed(5)
    log_probs = (2 * torch.randn(15, 4, generator=rng).double()).log_softmax(1)
    some = Points.of(log_probs, torch.randn(15, FEATURES, generator=rng).double(), expectation)
    every = matrices(some)
    start, fisher = 0.1 * torch.eye(every.shape[1]).double() + every[:3].mean(0), every.mean(0)
    torch.testing.assert_close(some.fisher(), every.sum(0))
    for n in (1, 4, 9):
        assert bait(some, start, fisher, n).tolist() == greedy(some, start, fisher, n)


def trace(matrix: Tensor, fisher: Tensor) -> float:
    return float((matrix.inverse() @ fisher).trace())


def greedy(some: Points, start: Tensor, fisher: Tensor, n: int) -> list[int]:
    """Computes every trace with a new inverse."""
    each, entered, matrix = matrices(some), list[int](), start.clone()
    for _ in range(min(2 * n, len(some))):
        traces = {place: trace(matrix + each[place], fisher) for place in range(len(some)) if place not in entered}
        best = min(traces, key=traces.__getitem__)
        entered.append(best)
        matrix = matrix + each[best]
    while len(entered) > n:
        traces = {place: trace(matrix - each[place], fisher) for place in entered}
        least = min(traces, key=traces.__getitem__)
        entered.remove(least)
        matrix = matrix - each[least]
    return entered


def start_and_fisher(some: Points, seed: int) -> tuple[Tensor, Tensor]:
    labelled = matrices(points(4, seed + 100)).mean(0)
    return 0.1 * torch.eye(CLASSES * FEATURES, dtype=torch.float64) + labelled, matrices(some).mean(0)


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_choice_is_the_same_with_new_inverses_at_every_step(seed: int) -> None:
    some = points(15, seed)
    start, fisher = start_and_fisher(some, seed)
    for n in (1, 4, 7, 10, 15):
        assert bait(some, start, fisher, n).tolist() == greedy(some, start, fisher, n)


def test_the_trace_is_kept_through_many_changes() -> None:
    some = points(12)
    start, fisher = start_and_fisher(some, 0)
    kept, matrix, each = Trace(some, start, fisher), start.clone(), matrices(some)
    for place, sign in ((3, 1), (7, 1), (0, 1), (7, -1), (11, 1), (3, -1), (3, 1)):
        kept.change(torch.tensor(place), sign)
        matrix = matrix + sign * each[place]
    now = trace(matrix, fisher)
    everyone = torch.arange(12)
    falls = [now - trace(matrix + each[place], fisher) for place in range(12)]
    torch.testing.assert_close(kept.falls(everyone, 1), torch.tensor(falls, dtype=torch.float64))
    inside = torch.tensor([0, 3, 11])
    rises = [now - trace(matrix - each[place], fisher) for place in inside.tolist()]
    torch.testing.assert_close(kept.falls(inside, -1), torch.tensor(rises, dtype=torch.float64))


@pytest.mark.parametrize(("weights", "times"), [("published", 5), ("equal", 1)])
def test_the_strategy_s_matrices_are_those_of_pool_and_labelled(
    weights: str, times: int, net: nn.Module, pool: Pool
) -> None:
    fitted = SingleNet(net, 0)

    def of(ids: Tensor) -> Points:
        x = pool.x(ids)
        return Points.of(fitted.log_probs(x)[:, 0], fitted.features(x))

    ids = pool.candidates.sort().values
    labelled, everyone = matrices(of(pool.labelled)), matrices(of(torch.arange(10, 50)))
    total = len(labelled) + 5
    start = 0.01 * torch.eye(12, dtype=torch.float64) + labelled.sum(0) / total
    some = of(ids)
    expected = greedy(Points(some.a * (times / total) ** 0.5, some.h), start, everyone.mean(0), 5)
    chosen = Bait(damping=0.01, weights=weights).select(fitted, pool, 5, stream(0, "query"))
    assert chosen.tolist() == ids[expected].tolist()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"damping": 0.0}, r"strategy\.damping is 0"),
        ({"damping": float("nan")}, r"strategy\.damping"),
        ({"weights": "all"}, "published or equal"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Bait(**options)


def test_it_gets_no_more_candidates_than_max_candidates() -> None:
    budget = Budget(initial=10, query=20, candidates="30x")
    assert Bait(max_candidates=100).plan(budget).candidate_count == 100
    with pytest.raises(UsageError, match=r"max_candidates is 19, fewer than budget\.query=20"):
        Bait(max_candidates=19).plan(budget)


def test_a_committee_is_refused() -> None:
    committee = Ensemble(net_builder(toy.data_set(), toy.model), toy.recipe(), members=3)
    with pytest.raises(UsageError, match=r"Bait needs one net's own weights.* use learner=plain"):
        Bait().check_learner(committee)


def test_a_matrix_that_rounding_makes_indefinite_is_an_error(net: nn.Sequential, pool: Pool) -> None:
    net[4], weights = nn.Identity(), dict(net.named_parameters())
    with torch.no_grad():
        weights["3.weight"] *= 1e9
        weights["3.bias"] += 1e9
        weights["5.weight"] *= 1e-9
    with pytest.raises(ArithmeticError, match=r"raise strategy\.damping"):
        Bait(damping=1e-9).select(SingleNet(net, 0), pool, 5, stream(0, "query"))


def test_a_last_layer_too_large_to_invert_is_refused_before_training() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2048), nn.ReLU(), nn.Linear(2048, 10))
    with pytest.raises(UsageError, match="20,480 here and at most 8,192"):
        Bait().check(net, torch.rand(2, 1, 2, 2))
