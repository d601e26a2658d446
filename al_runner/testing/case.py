"""A strategy with a learner that it accepts, on toy images: what the checks of the contract are asked of."""

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
from al_runner.pool import ImagesOf, Pool
from al_runner.rng import Streams, stream
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice
from al_runner.testing import toy
from al_runner.types import DataSet, Fit, Fitted, Learner, Recipe, TrainData, Trained

Build = Callable[[], nn.Module]
BUILD = net_builder(toy.data_set(), toy.model)
BOUGHT = 12  # the first images of the pool

# From a net's builder and a recipe to every kind of learner that a strategy may meet.
LEARNERS: dict[str, Callable[[Build, Recipe], Learner]] = {
    "plain": Plain,
    "ensemble": partial(Ensemble, members=3),
    "dropout": partial(Dropout, samples=8, shared_masks=True),
    "dropout of own masks": partial(Dropout, samples=8, shared_masks=False),
    "harmonic": lambda build, recipe: Harmonic(BUILD, length_scale=30),
}
STEADY = ("plain", "ensemble", "dropout")  # whose prediction for an image does not depend on the images beside it


@dataclass(frozen=True, eq=False)
class Case:
    """A strategy, and one of LEARNERS by its name."""

    strategy: Strategy
    learner: str

    @cached_property
    def fitted(self) -> Fitted:
        """The toy net, trained as the strategy wants it."""
        return self.fit(BUILD, one_by_one.train_all)

    def fit(self, build: Build, train: Engine) -> Fitted:
        """Nets that `build` makes and `train` trains, by the learner, changed as the strategy wants it."""
        wrapped = self.strategy.wrap(LEARNERS[self.learner](build, toy.recipe()))
        pool = bought(toy.data_set())
        return drive(Checked(wrapped, self.learner).fit(train_data(pool), Streams(0, 0), None), train)

    def query(self, fitted: Fitted, pool: Pool, n: int, seed: int = 0) -> list[int]:
        """The ids that the strategy chooses."""
        answer = drive(self.strategy.query(fitted, pool, n, Streams(seed, 1)))
        return (answer.chosen if isinstance(answer, Choice) else answer).tolist()


def accepts(strategy: Strategy, learner: str) -> bool:
    """Whether the strategy takes a learner, by what the two declare."""
    try:
        strategy.check_learner(strategy.wrap(LEARNERS[learner](BUILD, toy.recipe())))
    except UsageError:
        return False
    return True


def cases(strategy: Strategy) -> list[Case]:
    """One net where that will do, else every posterior that does; UsageError where the strategy takes no learner."""
    accepted = [name for name in STEADY if accepts(strategy, name)]
    if not accepted:
        raise UsageError(f"{strategy.name} takes none of the learners {', '.join(STEADY)}; look at its needs")
    return [Case(strategy, name) for name in (accepted[:1] if accepted[0] == "plain" else accepted)]


def bought(data: DataSet) -> Pool:
    """A pool of which the first few images were bought, and 40 of the others are candidates."""
    pool = Pool(data)
    pool.buy(data.train[:BOUGHT], data.labels[data.train[:BOUGHT]])
    pool.draw_candidates(40, stream(0, "candidates"))
    return pool


def train_data(pool: Pool) -> TrainData:
    """What a fit on the pool's bought images may use."""
    data, ids = toy.data_set(), pool.labelled
    return TrainData(pool.x(ids), pool.y(ids), *data.validation, ImagesOf(pool, pool.unlabelled), pool.old)


def other_labels() -> DataSet:
    """The toy data set, all labels changed but those that were bought."""
    data = toy.data_set()
    labels = (data.labels + 1) % 3
    labels[data.train[:BOUGHT]] = data.labels[data.train[:BOUGHT]]
    return replace(data, labels=labels)


def other_test_images() -> DataSet:
    """The toy data set, its validation and test images black."""
    data = toy.data_set()
    images = data.images.clone()
    images[torch.cat([data.val, data.test])] = 0
    return replace(data, images=images)


def equal_images(data: DataSet) -> DataSet:
    """The data set, every image the same."""
    return replace(data, images=torch.full_like(data.images, 9))


def in_double(fits: Sequence[Fit]) -> list[Trained]:
    """An engine: the weights of `one_by_one`, in double precision."""
    results = [one_by_one.train(fit) for fit in fits]
    return [result._replace(net=result.net.double()) for result in results]


def untrained(fits: Sequence[Fit]) -> list[Trained]:
    """An engine: the nets as they are built."""
    return [Trained(initial_net(fit), 0, 0.0) for fit in fits]


def normed() -> nn.Module:
    """Toy images through a BatchNorm with statistics of its own."""

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
    """Predicts NaN, as a net whose training diverged does."""
    net = Certain()
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, torch.nan)
    return net
