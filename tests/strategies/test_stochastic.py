"""Draws by a score against the chances that they should have."""

from collections import Counter
from itertools import permutations

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.learners.plain import Plain, SingleNet
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.base import ByScore
from al_runner.strategies.bayesian import Disagreement, bald
from al_runner.strategies.dfal import Dfal
from al_runner.strategies.egl import Egl
from al_runner.strategies.epig import Epig
from al_runner.strategies.learning_loss import LearningLoss
from al_runner.strategies.stochastic import Stochastic, log_chances
from al_runner.strategies.uncertainty import TopScore, entropy, margin
from al_runner.testing import check_strategy
from al_runner.types import DataSet

SCORES = torch.tensor([0.1, 0.4, 0.0, 0.2, 0.3])


def test_chances_by_hand() -> None:
    assert log_chances(SCORES, "power", 2.0).exp().tolist() == pytest.approx([0.01, 0.16, 0.0, 0.04, 0.09])
    assert log_chances(SCORES, "softmax", 3.0).tolist() == pytest.approx([0.3, 1.2, 0.0, 0.6, 0.9])
    assert log_chances(SCORES, "softrank", 1.0).exp().tolist() == pytest.approx([1 / 4, 1, 1 / 5, 1 / 3, 1 / 2])
    equals = log_chances(torch.tensor([0.2, 0.5, 0.2, 0.2]), "softrank", 1.0).exp().tolist()
    assert equals == pytest.approx([1 / 3, 1, 1 / 3, 1 / 3])
    for law in ("power", "softmax", "softrank"):
        assert log_chances(SCORES, law, 0.0).tolist() == [0.0] * 5


class Fixed(nn.Module):
    """Gives the first of two classes the probability SCORES of the image's id."""

    def forward(self, x: Tensor) -> Tensor:
        first = SCORES[x[:, 0, 0, 0].long()]
        return torch.stack([first, 1 - first], 1).log()


def chosen(strategy: Stochastic, n: int, seed: int) -> tuple[int, ...]:
    ids = torch.arange(5)
    images = ids[:, None, None, None].to(torch.uint8)
    pool = Pool(DataSet(images, ids % 2, ids, ids[:0], ids[:0], ("a", "b")))
    return tuple(strategy.select(SingleNet(Fixed(), 0), pool, n, stream(seed, "query")).tolist())


def taken(log_probs: Tensor) -> Tensor:
    return log_probs[:, 0, 0].exp()


@pytest.mark.parametrize(("law", "beta"), [("power", 1.0), ("power", 2.0), ("softmax", 5.0), ("softrank", 1.0)])
def test_pairs_are_drawn_one_after_the_other_without_replacement(law: str, beta: float) -> None:
    """Plackett and Luce: P(i, j) = c_i / sum c * c_j / (sum c - c_i); 6,000 draws, 4.5 standard deviations."""
    strategy, draws = Stochastic(TopScore(taken), law, beta), 6000
    counts = Counter(chosen(strategy, 2, seed) for seed in range(draws))
    c = log_chances(SCORES, law, beta).exp().tolist()
    for i, j in permutations(range(5), 2):
        chance = c[i] / sum(c) * c[j] / (sum(c) - c[i])
        assert abs(counts[i, j] - draws * chance) < 4.5 * (draws * chance * (1 - chance)) ** 0.5 + 1e-9


def test_candidates_without_a_chance_come_last_in_any_order() -> None:
    strategy = Stochastic(TopScore(lambda log_probs: taken(log_probs) * (taken(log_probs) > 0.35)), "power")
    picks = [chosen(strategy, 5, seed) for seed in range(60)]
    assert {pick[0] for pick in picks} == {1}
    assert {pick[1] for pick in picks} == {0, 2, 3, 4}
    assert all(sorted(pick) == [0, 1, 2, 3, 4] for pick in picks)


def test_a_large_beta_takes_the_top() -> None:
    assert chosen(Stochastic(TopScore(taken), "power", 1e6), 3, 0) == (1, 4, 3)


def test_impossible_options_are_refused_before_any_training() -> None:
    with pytest.raises(UsageError, match="law=power needs scores of 0 or more"):
        Stochastic(TopScore(margin))
    Stochastic(TopScore(margin), law="softmax")
    Stochastic(TopScore(entropy))
    with pytest.raises(UsageError, match="it must be power, softmax, or softrank"):
        Stochastic(TopScore(entropy), law="might")
    with pytest.raises(UsageError, match="must be 0 or more"):
        Stochastic(TopScore(entropy), beta=-1.0)
    with pytest.raises(UsageError, match="bald needs several posterior samples"):
        Stochastic(Disagreement(bald)).check_learner(Plain(net_builder(toy.data_set(), toy.model), toy.recipe()))


@pytest.mark.parametrize("of", [Egl(), Epig(targets=20)])
def test_any_score_can_give_the_chances(of: ByScore) -> None:
    check_strategy(Stochastic(of, law="softrank"))
    check_strategy(Stochastic(of, law="power"))


def test_what_the_other_strategy_needs_and_changes_holds_for_the_draw() -> None:
    of = LearningLoss(hidden=5)
    strategy = Stochastic(of, law="softmax")
    plain = Plain(net_builder(toy.data_set(), toy.model), toy.recipe())
    assert strategy.needs == of.needs
    assert strategy.draws
    assert not of.draws
    assert strategy.wrap(plain) == of.wrap(plain)
    check_strategy(strategy)
    for without_a_least in (of, Dfal()):
        with pytest.raises(UsageError, match="law=power needs scores of 0 or more"):
            Stochastic(without_a_least)


def test_an_upper_line_s_scores_make_an_upper_line_with_the_same_plan() -> None:
    class Upper(LearningLoss):
        foresees = True

        def plan(self, budget: Budget) -> Budget:
            return budget.choosing_from(50)

    upper = Stochastic(Upper(), law="softmax")
    assert upper.foresees and not Stochastic(LearningLoss(), law="softmax").foresees
    assert upper.plan(Budget(initial=8, query=8)).candidate_count == 50
