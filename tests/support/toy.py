"""A data set, a net and a record small enough to run whole experiments in milliseconds."""

from collections.abc import Mapping
from math import nan

import torch
from torch import Tensor

from al_runner.budget import Budget
from al_runner.learners.plain import Plain, SingleNet
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import net_builder
from al_runner.needs import Gives
from al_runner.oracle.simulated import Simulated
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.strategies.base import Strategy
from al_runner.strategies.random import Random
from al_runner.testing.toy import data_set, model, recipe
from al_runner.training import Fit, trained
from al_runner.types import ByClass, DataSet, Fitted, Query, TrainData

__all__ = [
    "Continuing",
    "Memory",
    "Table",
    "bought",
    "data_set",
    "experiment",
    "model",
    "numbered",
    "offset_data",
    "recipe",
    "ten_classes",
    "train_data",
]


def experiment(strategy: Strategy | None = None, seed: int = 0, **changes: object) -> Experiment:
    data = data_set()
    learner = Plain(net_builder(data, model), recipe(**changes))
    budget = Budget(initial=6, query=5, max_rounds=4)
    return Experiment(data, learner, strategy or Random(), budget, seed, Simulated(data))


def bought(data: DataSet, ids: Tensor) -> Pool:
    """A pool whose `ids` were bought."""
    pool = Pool(data)
    pool.buy(ids, data.labels[ids])
    return pool


def train_data() -> TrainData:
    """What a learner is given when the first 12 training images are labelled."""
    run = experiment()
    return run.train_data(bought(run.data, run.data.train[:12]))


class Continuing:
    """Begins every fit from the weights of the round before."""

    continues = True
    gives = Gives()

    def __init__(self, base: Plain):
        self.base = base

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> SingleNet:
        start = None if previous is None else previous.network().state_dict()
        (result,) = await trained([Fit(self.base.build, self.base.recipe, data, streams, start=start)])
        return SingleNet(result.net.eval(), result.steps)


class Table:
    """A fitted learner that predicts by a table [R, K, Y] of log-probabilities: an image's one pixel is its row."""

    steps = 0

    def __init__(self, log_probs: Tensor):
        self.table, self.gives = log_probs, Gives(samples=log_probs.shape[1])

    def log_probs(self, x: Tensor) -> Tensor:
        return self.table[x.flatten().long() % len(self.table)]


def offset_data(n: int = 20) -> DataSet:
    """Train ids 5 .. n-1, so that a position within the pool is never an id."""
    ids = torch.arange(n)
    images = ids.to(torch.uint8)[:, None, None, None]
    return DataSet(images, ids % 3, ids[5:], ids[:2], ids[2:5], ("a", "b", "c"))


def ten_classes(n: int = 1000) -> DataSet:
    """The label is the image's one pixel; parts are interleaved."""
    ids = torch.arange(n)
    labels = ids // 4 % 10
    images = labels.to(torch.uint8)[:, None, None, None]
    names = tuple(f"class {label}" for label in range(10))
    return DataSet(images, labels, ids[ids % 4 < 2], ids[ids % 4 == 2], ids[ids % 4 == 3], names)


def numbered(n: int) -> Pool:
    """A pool of `n` images, each one pixel that holds its id."""
    ids = torch.arange(n)
    return Pool(DataSet(ids.to(torch.uint8)[:, None, None, None], ids % 2, ids, ids[:0], ids[:0], ("a", "b")))


class Memory:
    """A record that keeps everything in lists."""

    def __init__(self) -> None:
        self.ids: list[Tensor] = []
        self.rows: list[dict[str, float]] = []
        self.facts: list[dict[str, float]] = []
        self.choices: dict[int, Query] = {}
        self.images: dict[int, Tensor] = {}
        self.shown: dict[tuple[int, str], Tensor] = {}
        self.predictions: list[tuple[Tensor, Tensor]] = []
        self.by_class: list[ByClass] = []

    def bought(self, round_: int) -> Tensor | None:
        return self.ids[round_] if round_ < len(self.ids) else None

    def asked(self, round_: int) -> Query | None:
        return self.choices.get(round_)

    def ask(self, round_: int, ids: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        assert round_ == len(self.ids)
        self.choices[round_] = Query(ids, seconds, facts)

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        assert round_ == len(self.ids)
        assert round_ == 0 or self.said == ids.tolist()
        self.ids.append(ids)
        self.facts.append(dict(facts))

    def made(self, round_: int, name: str, ids: Tensor, images: Tensor) -> None:
        assert round_ == len(self.ids) and len(ids) == len(images)
        if name == "query":
            self.images[round_] = images
        else:
            self.shown[round_, name] = images

    def queried(self, round_: int) -> Tensor | None:
        return self.images.get(round_)

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        assert round_ == len(self.ids)
        self.said = ids.tolist()
        self.predictions.append((classes, confidence))

    def measured(self, round_: int) -> bool:
        return round_ < len(self.rows)

    def column(self, name: str) -> list[float]:
        return [row.get(name, nan) for row in self.rows]

    def measure(
        self, round_: int, row: dict[str, float], joules: float | None, by_class: ByClass | None = None
    ) -> None:
        assert round_ == len(self.rows) and by_class is not None
        self.rows.append(row)
        self.by_class.append(by_class)

    def untimed(self) -> list[dict[str, float]]:
        return [{key: value for key, value in row.items() if not key.endswith("seconds")} for row in self.rows]
