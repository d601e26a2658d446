"""What every strategy in conf/strategy must hold, whatever it computes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import pytest
import test_configs
import torch
import toy
from hydra.utils import instantiate
from torch import Tensor, nn

from al_runner.engine import one_by_one
from al_runner.engine.drive import Engine, drive
from al_runner.engine.parts import initial_net
from al_runner.errors import UsageError
from al_runner.learners.committee import Committee
from al_runner.learners.dropout import Dropout
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.harmonic import Harmonic
from al_runner.learners.plain import Plain
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import Streams, stream
from al_runner.strategies.base import Strategy
from al_runner.types import DataSet, Fit, Fitted, Learner, Trained

BY_CHANCE = {name for name in test_configs.names("strategy") if name.startswith("discriminative")} | {
    *("random", "badge", "cluster_margin", "power_bald")
}
STRATEGIES = [name for name in test_configs.names("strategy") if name != "full"]


BUILD = net_builder(toy.data_set(), toy.model)
LEARNERS: dict[str, Callable[..., Learner]] = {
    "plain": Plain,
    "ensemble": partial(Ensemble, members=3),
    "dropout": partial(Dropout, samples=8, shared_masks=True),
}


def built(name: str) -> Strategy:
    cfg = test_configs.composed(f"strategy={name}").strategy
    if "recipe" in cfg:  # of a net that it trains to choose by
        cfg.recipe.max_checks = 20
    strategy: Strategy = instantiate(cfg)
    return strategy


def accepts(strategy: Strategy, learner: Learner) -> bool:
    try:
        strategy.check_learner(learner)
    except UsageError:
        return False
    return True


def learners_for(strategy: Strategy) -> list[str]:
    """One net where that will do, else every posterior that does."""
    built = {name: strategy.wrap(learner(BUILD, toy.recipe())) for name, learner in LEARNERS.items()}
    accepted = [name for name, learner in built.items() if accepts(strategy, learner)]
    return accepted[:1] if accepted[0] == "plain" else accepted


CASES = [(name, learner) for name in STRATEGIES for learner in learners_for(built(name))]


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def strategy(case: tuple[str, str]) -> Strategy:
    return built(case[0])


@pytest.fixture
def learner(case: tuple[str, str]) -> Callable[..., Learner]:
    return LEARNERS[case[1]]


def fit(strategy: Strategy, learner: Callable[..., Learner], build: Callable[[], nn.Module], train: Engine) -> Fitted:
    """By the learner, changed as the strategy wants it."""
    wrapped, run = strategy.wrap(learner(build, toy.recipe())), toy.experiment()
    return drive(wrapped.fit(run.train_data(pool_of(run.data)), Streams(0, 0), None), train)  # type: ignore[arg-type]


@pytest.fixture
def fitted(strategy: Strategy, learner: Callable[..., Learner]) -> Fitted:
    return fit(strategy, learner, BUILD, one_by_one.train_all)


def in_double(fits: Sequence[Fit]) -> list[Trained]:
    """The same weights as those of the `fitted` nets, in double precision."""
    results = [one_by_one.train(fit) for fit in fits]
    return [result._replace(net=result.net.double()) for result in results]


def untrained(fits: Sequence[Fit]) -> list[Trained]:
    return [Trained(initial_net(fit), 0, 0.0) for fit in fits]


def nets(fitted: Fitted) -> list[nn.Module]:
    return list(fitted.nets) if isinstance(fitted, Committee) else [fitted.network()]


def pool_of(data: DataSet, bought: Tensor | None = None) -> Pool:
    pool = Pool(data)
    pool.buy(data.train[:12] if bought is None else bought)
    return pool


def query(strategy: Strategy, fitted: Fitted, pool: Pool, n: int, seed: int = 0) -> Tensor:
    return drive(strategy.query(fitted, pool, n, Streams(seed, 1)))  # type: ignore[arg-type]


def select(strategy: Strategy, fitted: Fitted, pool: Pool, n: int, seed: int = 0) -> list[int]:
    pool.draw_candidates(40, stream(seed, "candidates"))
    return query(strategy, fitted, pool, n, seed).tolist()


@pytest.mark.parametrize("n", [1, 7, 40])
def test_n_distinct_candidates_by_their_absolute_ids(strategy: Strategy, fitted: Fitted, n: int) -> None:
    pool = pool_of(toy.data_set())
    ids = select(strategy, fitted, pool, n)
    assert len(set(ids)) == n
    assert set(ids) <= set(pool.candidates.tolist())


def test_the_whole_pool_can_be_taken(strategy: Strategy, fitted: Fitted) -> None:
    pool = pool_of(toy.data_set())
    ids = query(strategy, fitted, pool, len(pool.unlabelled))
    assert ids.dtype == torch.int64
    assert sorted(ids.tolist()) == pool.unlabelled.tolist()


def test_the_same_seed_gives_the_same_ids_and_another_seed_others(
    case: tuple[str, str], strategy: Strategy, fitted: Fitted
) -> None:
    """Others of the same candidates where a method chooses by chance, the same ones where it does not."""
    pool = pool_of(toy.data_set())
    pool.draw_candidates(40, stream(0, "candidates"))
    picks = [query(strategy, fitted, pool, 7, seed).tolist() for seed in (0, 0, 1)]
    assert picks[0] == picks[1]
    assert (set(picks[0]) != set(picks[2])) == (case[0] in BY_CHANCE)


def test_labels_that_were_not_bought_make_no_difference(strategy: Strategy, fitted: Fitted) -> None:
    data = toy.data_set()
    labels = (data.labels + 1) % 3
    labels[data.train[:12]] = data.labels[data.train[:12]]
    other = DataSet(data.images, labels, data.train, data.val, data.test, data.classes)
    assert select(strategy, fitted, pool_of(data), 7) == select(strategy, fitted, pool_of(other), 7)


def test_test_and_validation_images_make_no_difference(strategy: Strategy, fitted: Fitted) -> None:
    data = toy.data_set()
    images = data.images.clone()
    images[torch.cat([data.val, data.test])] = 0
    other = DataSet(images, data.labels, data.train, data.val, data.test, data.classes)
    assert select(strategy, fitted, pool_of(data), 7) == select(strategy, fitted, pool_of(other), 7)


def test_the_order_of_the_candidates_makes_no_difference(strategy: Strategy, fitted: Fitted) -> None:
    if type(strategy).__name__ == "Random":
        pytest.skip("a random choice is a choice of positions")
    pool = pool_of(toy.data_set())
    pool.draw_candidates(40, stream(0, "candidates"))
    first = query(strategy, fitted, pool, 7)
    pool.candidates = pool.candidates.flip(0)
    assert torch.equal(query(strategy, fitted, pool, 7), first)


@pytest.mark.parametrize("batchnorm", [False, True])
def test_nothing_about_the_net_changes(
    strategy: Strategy, learner: Callable[..., Learner], fitted: Fitted, batchnorm: bool
) -> None:
    if batchnorm:
        fitted = fit(strategy, learner, normed, untrained)
    net = nn.ModuleList(nets(fitted))
    assert all(parameter.grad is None for parameter in net.parameters())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    select(strategy, fitted, pool_of(toy.data_set()), 7)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module.training for part in nets(fitted) for module in part.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


def normed() -> nn.Module:
    """Toy images through a BatchNorm with statistics of its own."""

    def model(shape: tuple[int, int, int], classes: int) -> nn.Module:
        convolution, *rest = toy.model(shape, classes)  # type: ignore[misc]
        return nn.Sequential(convolution, nn.BatchNorm2d(4), *rest)

    net = net_builder(toy.data_set(), model)()
    net(toy.data_set().images)
    return net


class Certain(nn.Module):
    """Predicts one class with a probability of exactly 1, so that every gradient is exactly 0."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.dropout, self.layer = nn.Conv2d(1, 1, 1), nn.Dropout(0.5), nn.Linear(36, 3)
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.bias.copy_(torch.tensor([1e4, 0.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(self.dropout(self.maps(x.to(self.layer.weight.dtype)).flatten(1)))
        return out


def test_predictions_of_probability_1_are_no_trouble(strategy: Strategy, learner: Callable[..., Learner]) -> None:
    certain = fit(strategy, learner, Certain, untrained)
    assert len(set(select(strategy, certain, pool_of(toy.data_set()), 7))) == 7


def diverged() -> nn.Module:
    """Predicts NaN, as a net whose training diverged does."""
    net = Certain()
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, torch.nan)
    return net


class Asked:
    """Passes on what it is asked, and tells whether it was asked anything."""

    def __init__(self, fitted: Fitted):
        self._fitted, self.asked = fitted, False

    def __getattr__(self, name: str) -> object:
        self.asked = True
        return getattr(self._fitted, name)


def test_predictions_that_are_nan_are_an_error(strategy: Strategy, learner: Callable[..., Learner]) -> None:
    fitted = Asked(fit(strategy, learner, diverged, untrained))
    try:
        select(strategy, cast(Fitted, fitted), pool_of(toy.data_set()), 7)
    except ArithmeticError as error:
        assert "NaN" in str(error)
    else:
        assert not fitted.asked, "what a net that predicts NaN says was taken for an answer"


def test_images_that_are_all_alike_are_no_trouble(strategy: Strategy, fitted: Fitted) -> None:
    data = toy.data_set()
    same = DataSet(torch.full_like(data.images, 9), data.labels, data.train, data.val, data.test, data.classes)
    assert len(set(select(strategy, fitted, pool_of(same), 7))) == 7


def test_single_and_double_precision_agree(strategy: Strategy, learner: Callable[..., Learner], fitted: Fitted) -> None:
    double = fit(strategy, learner, BUILD, in_double)
    picks = [select(strategy, net, pool_of(toy.data_set()), 7) for net in (fitted, double)]
    assert picks[0] == picks[1]


@pytest.mark.parametrize("nets", ["three", "none"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_several_nets_or_none_are_refused_before_any_training_or_will_do(name: str, nets: str) -> None:
    strategy = built(name)
    base = {"three": LEARNERS["ensemble"], "none": lambda build, recipe: Harmonic(build, length_scale=30)}[nets]
    if accepts(strategy, strategy.wrap(base(BUILD, toy.recipe()))):
        fitted = fit(strategy, base, BUILD, one_by_one.train_all)
        assert len(select(strategy, fitted, pool_of(toy.data_set()), 3)) == 3
    else:
        needs = strategy.needs
        assert needs.network or (nets == "none" and (needs.samples or needs.consistent or needs.features))
