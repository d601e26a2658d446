"""The cases of the contract's checks: a strategy with a learner that it accepts, on toy images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from al_runner.engine import one_by_one
from al_runner.engine.drive import Engine, drive
from al_runner.engine.parts import initial_net
from al_runner.errors import UsageError
from al_runner.learners.checked import Checked
from al_runner.learners.dropout import Dropout
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.harmonic import Harmonic
from al_runner.learners.plain import Plain
from al_runner.models.inputs import net_builder
from al_runner.pool import ImagesOf, Outcome, Pool
from al_runner.rng import Streams, stream
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice, as_ids
from al_runner.testing import toy
from al_runner.training import Fit, Recipe, Trained
from al_runner.types import DataSet, Fitted, Learner, TrainData

Build = Callable[[], nn.Module]
BUILD = net_builder(toy.data_set(), toy.model)
BOUGHT = 12  # the first images of the pool

# Every kind of learner that a strategy may be used with, made from a net's builder and a recipe.
LEARNERS: dict[str, Callable[[Build, Recipe], Learner]] = {
    "plain": Plain,
    "ensemble": partial(Ensemble, members=3),
    "dropout": partial(Dropout, samples=8, shared_masks=True),
    "dropout of own masks": partial(Dropout, samples=8, shared_masks=False),
    "harmonic": lambda build, recipe: Harmonic(BUILD, length_scale=30),
}
STEADY = ("plain", "ensemble", "dropout")  # their prediction for an image does not depend on the other images


@dataclass(frozen=True, eq=False)
class Case:
    """A strategy, and the name of one of LEARNERS."""

    strategy: Strategy
    learner: str

    @cached_property
    def fitted(self) -> Fitted:
        """The toy net, trained by the learner as the strategy changes it."""
        return self.fit(BUILD, one_by_one.train_all)

    def fit(self, build: Build, train: Engine) -> Fitted:
        """A fit by the learner as the strategy changes it, with nets that `build` makes and `train` trains."""
        wrapped = self.strategy.wrap(LEARNERS[self.learner](build, toy.recipe()))
        pool = pool_of(toy.data_set())
        return drive(Checked(wrapped, self.learner).fit(train_data(pool), Streams(0, 0), None), train)

    def query(self, fitted: Fitted, pool: Pool, n: int, seed: int = 0) -> list[int]:
        """The ids that the strategy chooses. An upper line has a foresight that no label is in."""
        if self.strategy.foresees:
            pool.foresight = MadeUp()
        answer = drive(self.strategy.query(fitted, pool, n, Streams(seed, 1)))
        ids = as_ids(answer.chosen if isinstance(answer, Choice) else answer, f"{self.strategy.name} returned {{}}")
        return [int(id_) for id_ in ids.tolist()]


class MadeUp:
    """A foresight whose outcomes depend on the ids alone."""

    async def validation(self, batches: Sequence[Tensor], fitted: Fitted, streams: Streams) -> list[Outcome]:
        values = [int(ids.sort().values.double().square().sum()) % 997 / 997 for ids in batches]
        return [Outcome(value, value) for value in values]

    test = validation


def accepts(strategy: Strategy, learner: str) -> bool:
    """Whether the strategy accepts a learner, judged by what the two declare."""
    try:
        strategy.check_learner(strategy.wrap(LEARNERS[learner](BUILD, toy.recipe())))
    except UsageError:
        return False
    return True


def cases(strategy: Strategy) -> list[Case]:
    """One case with a single net if the strategy accepts that, else a case for every posterior that it accepts.

    Raises UsageError if the strategy accepts none of STEADY.
    """
    accepted = [name for name in STEADY if accepts(strategy, name)]
    if not accepted:
        raise UsageError(f"{strategy.name} accepts none of the learners {', '.join(STEADY)}; change its needs")
    return [Case(strategy, name) for name in (accepted[:1] if accepted[0] == "plain" else accepted)]


def pool_of(data: DataSet) -> Pool:
    """A pool in which the first BOUGHT images are bought, and 40 of the others are candidates."""
    pool = Pool(data)
    pool.buy(data.train[:BOUGHT], data.labels[data.train[:BOUGHT]])
    pool.draw_candidates(40, stream(0, "candidates"))
    return pool


def train_data(pool: Pool) -> TrainData:
    """The data that a fit on the pool's bought images may use."""
    data, ids = toy.data_set(), pool.training
    return TrainData(pool.x(ids), pool.y(ids), *data.validation, ImagesOf(pool, pool.unlabelled), pool.old)


def other_labels() -> DataSet:
    """The toy data set with all labels changed except the bought ones."""
    data = toy.data_set()
    labels = (data.labels + 1) % 3
    labels[data.train[:BOUGHT]] = data.labels[data.train[:BOUGHT]]
    return replace(data, labels=labels)


def other_test_images() -> DataSet:
    """The toy data set with black validation and test images."""
    data = toy.data_set()
    images = data.images.clone()
    images[torch.cat([data.val, data.test])] = 0
    return replace(data, images=images)


def equal_images(data: DataSet) -> DataSet:
    """The data set with the same pixels in every image."""
    return replace(data, images=torch.full_like(data.images, 9))


def in_double(fits: Sequence[Fit]) -> list[Trained]:
    """An engine that trains as `one_by_one`, and returns the nets in double precision."""
    results = [one_by_one.train(fit) for fit in fits]
    return [result._replace(net=result.net.double()) for result in results]


def untrained(fits: Sequence[Fit]) -> list[Trained]:
    """An engine that returns the nets as they are built."""
    return [Trained(initial_net(fit), 0, 0.0) for fit in fits]


def normed() -> nn.Module:
    """The toy net with a BatchNorm whose statistics come from the toy images."""

    def model(shape: tuple[int, int, int], classes: int) -> nn.Module:
        convolution, *rest = toy.model(shape, classes).children()
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


def diverged() -> nn.Module:
    """A net that predicts NaN, like a net whose training diverged."""
    net = Certain()
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, torch.nan)
    return net
