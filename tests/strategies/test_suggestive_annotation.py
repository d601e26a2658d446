from itertools import combinations
from math import exp

import pytest
import torch
import toy
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from al_runner.errors import UsageError
from al_runner.learners.committee import Committee
from al_runner.learners.plain import Plain, SingleNet
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies import lazy_greedy
from al_runner.strategies.base import Strategy
from al_runner.strategies.bayesian import Disagreement, mean_std
from al_runner.strategies.random import Random
from al_runner.strategies.suggestive_annotation import SuggestiveAnnotation, facility_location


def points(n: int, seed: int, d: int = 3) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def likeness(x: Tensor, others: Tensor) -> Tensor:
    """Computed from the definition, one pair after the other, [K, N]."""
    return torch.stack([torch.stack([cosine_similarity(a, b, dim=0) for b in others]) for a in x])


def represented(x: Tensor, others: Tensor) -> float:
    """F(S_a, S_u) of the choice `x`."""
    return float(likeness(x, others).amax(0).sum())


def plain_greedy(x: Tensor, others: Tensor, n: int, labelled: Tensor) -> list[int]:
    """Computes every gain again for every choice."""
    table, chosen = likeness(torch.cat([x, labelled]), others), []
    before = list(range(len(x), len(x) + len(labelled)))
    for _ in range(n):
        values = {i: float(table[[*before, *chosen, i]].amax(0).sum()) for i in range(len(x)) if i not in chosen}
        chosen.append(max(values, key=values.__getitem__))
    return chosen


@pytest.mark.parametrize("labelled", [0, 4])
@pytest.mark.parametrize("seed", range(5))
def test_lazy_greedy_is_plain_greedy(seed: int, labelled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More images than are computed again at once, and more than fit into a block."""
    monkeypatch.setattr(lazy_greedy, "BLOCK", 16)
    x, others, before = points(40, seed), points(50, seed + 100), points(labelled, seed + 200)
    found = facility_location(x, others, 15, before if labelled else None)
    assert found.tolist() == plain_greedy(x, others, 15, before)


def test_few_gains_are_computed_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    gains = lazy_greedy.Coverage.gains

    def counted(coverage: lazy_greedy.Coverage, x: Tensor) -> Tensor:
        computed.append(len(x))
        return gains(coverage, x)

    monkeypatch.setattr(lazy_greedy.Coverage, "gains", counted)
    facility_location(points(400, 0, 8).abs(), points(500, 1, 8).abs(), 40)
    assert computed[0] == 400
    assert sum(computed[1:]) < 400 * 39 / 4  # of plain greedy's


@pytest.mark.parametrize("seed", range(20))
def test_it_has_the_guaranteed_share_of_the_maximum(seed: int) -> None:
    x, others = points(9, seed).abs(), points(12, seed + 100).abs()
    greedy = represented(x[facility_location(x, others, 3)], others)
    most = max(represented(x[list(some)], others) for some in combinations(range(9), 3))
    assert (1 - exp(-1)) * most <= greedy <= most * (1 + 1e-12)


def test_greedy_may_have_less_than_the_maximum() -> None:
    """An image between two groups is chosen first, although the best pair has one image from each group."""
    others = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 3)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert facility_location(x, others, 2).tolist() == [2, 0]
    assert represented(x[:2], others) == 6 > represented(x[[2, 0]], others)


def test_ties_copies_and_images_without_features_are_chosen_once_each_the_earlier_first() -> None:
    assert facility_location(torch.ones(40, 2), torch.ones(5, 2), 40).tolist() == list(range(40))
    assert facility_location(torch.zeros(20, 2), torch.ones(5, 2), 20).tolist() == list(range(20))


def committee(net: nn.Module) -> Committee:
    """`net` and three other nets."""
    torch.manual_seed(3)
    nets = []
    for _ in range(3):
        member = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3))
        nets.append(member.double().eval())
    return Committee([net, *nets], 0)


def test_the_strategy_chooses_among_the_most_uncertain_for_all_unlabelled(net: nn.Module, pool: Pool) -> None:
    fitted = committee(net)
    scores = mean_std(fitted.log_probs(pool.x(pool.candidates)))
    some = pool.candidates[scores.argsort(descending=True)[:8]]
    x, others, labelled = (
        torch.cat([member[:5](pool.x(ids)) for member in fitted.nets], 1).detach()  # type: ignore[index]
        for ids in (some, pool.unlabelled, pool.labelled)
    )
    for beside, before in ((False, labelled[:0]), (True, labelled)):
        strategy = SuggestiveAnnotation(Disagreement(mean_std), preselected=2, beside_labelled=beside)
        ids = strategy.select(fitted, pool, 4, stream(0, "query"))
        assert ids.tolist() == some[plain_greedy(x, others, 4, before)].tolist()


def test_it_refuses_what_its_parts_refuse(net: nn.Module, pool: Pool) -> None:
    class Refusing(Strategy):
        def check(self, net: nn.Module, x: Tensor) -> None:
            raise UsageError("not this net")

    strategy, images = SuggestiveAnnotation(Disagreement(mean_std)), pool.x(pool.candidates[:2])
    with pytest.raises(
        UsageError,
        match=r"SuggestiveAnnotation needs several posterior samples.* use learner=dropout, ensemble or bootstrap",
    ):
        strategy.check_learner(Plain(net_builder(toy.data_set(), toy.model), toy.recipe()))
    with pytest.raises(UsageError, match="several posterior samples"):
        strategy.select(SingleNet(net, 0), pool, 4, stream(0, "query"))
    with pytest.raises(UsageError, match="model="):
        strategy.check(nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten()), images)
    with pytest.raises(UsageError, match="not this net"):
        SuggestiveAnnotation(Refusing()).check(net, images)
    with pytest.raises(UsageError, match=r"strategy.preselected is 0"):
        SuggestiveAnnotation(Random(), preselected=0)
