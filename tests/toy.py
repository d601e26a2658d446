"""A data set, a net and a record small enough to run whole experiments in milliseconds."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.learners.plain import Plain
from al_runner.loop import Experiment
from al_runner.models.inputs import net_builder
from al_runner.strategies.base import Strategy
from al_runner.strategies.random import Random
from al_runner.types import DataSet, Recipe


def data_set(n: int = 160) -> DataSet:
    """Three classes, each a bright row of its own in noisy 6 x 6 images; ids of all three parts are interleaved."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (n,), generator=rng)
    images = torch.randint(0, 150, (n, 1, 6, 6), generator=rng)
    images[torch.arange(n), 0, 2 * labels] += 60
    ids = torch.arange(n)
    return DataSet(
        images.to(torch.uint8), labels, ids[ids % 4 < 2], ids[ids % 4 == 2], ids[ids % 4 == 3], ("a", "b", "c")
    )


def model(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(64, classes))


def recipe(**changes: object) -> Recipe:
    settings = {"batch_size": 8, "check_every": 4, "patience": 3, "max_checks": 12, **changes}
    return Recipe(partial(torch.optim.Adam, lr=0.01), **settings)  # type: ignore[arg-type]


def experiment(strategy: Strategy | None = None, seed: int = 0, **changes: object) -> Experiment:
    data = data_set()
    learner = Plain(net_builder(data, model), recipe(**changes))
    return Experiment(data, learner, strategy or Random(), Budget(initial=6, query=5, max_rounds=4), seed)


class Memory:
    """A record that keeps everything in lists."""

    def __init__(self) -> None:
        self.ids: list[Tensor] = []
        self.rows: list[dict[str, float]] = []
        self.facts: list[dict[str, float]] = []
        self.predictions: list[tuple[Tensor, Tensor]] = []

    def bought(self, round_: int) -> Tensor | None:
        return self.ids[round_] if round_ < len(self.ids) else None

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        assert round_ == len(self.ids)
        assert round_ == 0 or self.said == ids.tolist()
        self.ids.append(ids)
        self.facts.append(dict(facts))

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        assert round_ == len(self.ids)
        self.said = ids.tolist()
        self.predictions.append((classes, confidence))

    def measured(self, round_: int) -> bool:
        return round_ < len(self.rows)

    def measure(self, round_: int, row: dict[str, float], joules: float | None) -> None:
        assert round_ == len(self.rows)
        self.rows.append(row)

    def untimed(self) -> list[dict[str, float]]:
        return [{key: value for key, value in row.items() if not key.endswith("seconds")} for row in self.rows]
