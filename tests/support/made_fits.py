"""Fits small enough to be made one by one and stacked, and compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.engine import stacked
from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.engine.parts import initial_net
from al_runner.engine.stacked import train_stack
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import NetBuilder, net_builder
from al_runner.models.layers import seeded_layers
from al_runner.models.resnet import resnet
from al_runner.rng import Streams
from al_runner.training import Fit, Loss, Recipe, Trained
from al_runner.types import TrainData

Model = Callable[[tuple[int, int, int], int], nn.Module]


def fit(recipe: Recipe, round_: int = 0, seed: int = 0, n: int = 20) -> Fit:
    data = toy.data_set()
    ids = data.train[:n]
    parts = TrainData(data.images[ids], data.labels[ids], data.images[data.val], data.labels[data.val])
    return Fit(net_builder(data, toy.model), recipe, parts, Streams(seed, round_))


def textbook(wanted: Fit, batches: Sequence[Tensor], loss: Loss) -> nn.Module:
    """The net after one step of Adam on each of these minibatches."""
    net = initial_net(wanted)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for batch in batches:
        optimizer.zero_grad()
        loss(net(wanted.data.x[batch]), wanted.data.y[batch]).backward()
        optimizer.step()
        for layer in seeded_layers(net):  # the dropout layer's next mask
            layer.stream += 1
    return net


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


class Double(NetBuilder):
    def __call__(self) -> nn.Module:
        return super().__call__().double()


def fits(model: Model, recipe: Recipe, count: int = 4, n: int = 21, build: type[NetBuilder] = Double) -> list[Fit]:
    """Fits of `count` seeds, each on images of its own."""
    data = toy.data_set()
    made = net_builder(data, model)
    builder = build(made.model, made.image_shape, made.classes, made.mean, made.std)
    asked = []
    for seed in range(count):
        ids = data.train[torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))[:n]]
        parts = TrainData(data.images[ids], data.labels[ids], *data.validation)
        asked.append(Fit(builder, recipe, parts, Streams(seed, 3)))
    return asked


@dataclass
class Watching:
    """The one-by-one engine, and the fits it was asked for."""

    fits: list[Fit] = field(default_factory=list)

    def __call__(self, fits: Sequence[Fit]) -> list[Trained | Exception]:
        self.fits += fits
        return train_all(fits)


def watched(experiment: Experiment, memory: toy.Memory | None = None) -> tuple[toy.Memory, list[Fit]]:
    """Run an experiment; its record, and the fits that it asked for."""
    memory, engine = memory or toy.Memory(), Watching()
    drive(experiment.run(memory), engine)
    return memory, engine.fits


def batch_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(shape[0], 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout2d(0.2),
        nn.Flatten(),
        nn.Linear(64, 16, bias=False),
        nn.BatchNorm1d(16),
        nn.Tanh(),
        nn.Linear(16, classes),
    )


MODELS: dict[str, Model] = {
    "dropout": toy.model,
    "batch norm": batch_norm,
    "residual": partial(resnet, blocks=(1, 1), width=4),
}


ADAM = partial(torch.optim.Adam, lr=0.01)


OPTIMISERS = {
    "adam": ADAM,
    "adam-fused": partial(torch.optim.Adam, lr=0.01, fused=True),
    "adamw-amsgrad": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1, amsgrad=True),
    "sgd-nesterov": partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop-centered": partial(torch.optim.RMSprop, lr=0.003, centered=True, momentum=0.5, foreach=True),
    "adagrad": partial(torch.optim.Adagrad, lr=0.05),
    "nadam": partial(torch.optim.NAdam, lr=0.01),
    "radam": partial(torch.optim.RAdam, lr=0.01),
    "adamax": partial(torch.optim.Adamax, lr=0.01),
    "adadelta": partial(torch.optim.Adadelta, lr=1.0),
    "rprop": partial(torch.optim.Rprop, lr=0.001),
    "asgd": partial(torch.optim.ASGD, lr=0.05),
}


def recipe(**changes: object) -> Recipe:
    settings = {"batch_size": 8, "check_every": 4, "patience": 4, "max_checks": 15, **changes}
    return Recipe(**{"optimizer": ADAM, **settings})  # type: ignore[arg-type]


def require_equal(together: list[Trained | Exception], alone: list[Trained], tolerance: float) -> None:
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Trained)
        assert one.steps == other.steps
        states = one.net.state_dict(), other.net.state_dict()
        assert list(states[0]) == list(states[1])
        for name, value in states[0].items():
            torch.testing.assert_close(
                value, states[1][name], rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
            )


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the stacks that are trained from now on."""
    sizes: list[int] = []
    monkeypatch.setattr(stacked, "train_stack", lambda fits: sizes.append(len(fits)) or train_stack(fits))
    return sizes
