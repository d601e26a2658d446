"""Tiny parts and a tiny joint fit of them."""

from functools import partial

import torch
import toy

from al_runner.generative.nets import Sizes
from al_runner.generative.parts import BuildParts, Makers, Parts
from al_runner.models.inputs import net_builder
from al_runner.models.layers import seed_layers
from al_runner.rng import Streams, stream
from al_runner.training import Fit, Joint, Recipe
from al_runner.types import TrainData

SIZES = Sizes(latent=3, maps=2, units=4)
MAKERS = Makers(partial(torch.optim.SGD, lr=0.3), None)
BUILD = BuildParts(net_builder(toy.data_set(), toy.model), SIZES, "none", None)


def parts(seed: int = 0) -> Parts:
    """In training mode, the dropout of the classifier with a stream, as an engine gives it."""
    torch.manual_seed(seed)
    net = BUILD().train()
    seed_layers(net, stream(seed, "dropout"))
    return net


def minibatch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    data = toy.data_set()
    return data.images[data.train[:n]], data.labels[data.train[:n]]


def fit(joint: Joint, n: int = 20, seed: int = 0, round_: int = 0, **changes: object) -> Fit:
    data = toy.data_set()
    ids = data.train[:n]
    train = TrainData(data.images[ids], data.labels[ids], *data.validation)
    settings = {"batch_size": 8, "check_every": 6, "max_checks": 1, **changes}
    recipe = Recipe(partial(torch.optim.SGD, lr=0.1), **settings)  # type: ignore[arg-type]
    return Fit(BUILD, recipe, train, Streams(seed, round_), joint=joint)
