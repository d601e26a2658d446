"""A net whose only part has its loss trains as a net with one loss, whatever the recipe asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
import toy
from made_fits import fit, same_weights
from torch import Tensor, nn

from al_runner.engine.one_by_one import train
from al_runner.engine.schedules import Drops
from al_runner.training import Loss, Move, Recipe


@dataclass(frozen=True)
class OnePart:
    """The classifier of `net_builder`, after its first layer, which has no weights."""

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return {"net": recipe}

    def step(self, net: nn.Module, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        found = loss(net(x), y)
        move("net", found)
        return found.detach()


SGD = {"optimizer": partial(torch.optim.SGD, lr=0.05, momentum=0.9)}


@pytest.mark.parametrize(
    "changes",
    [{}, {"norm_penalty": 0.05}, {"schedule": Drops((1, 2), 0.3), **SGD}, {"label_smoothing": 0.3}],
    ids=["plain", "penalty", "schedule", "smoothing"],
)
def test_one_part_trains_as_one_loss(changes: dict[str, object]) -> None:
    """Minibatch by minibatch, with dropout: the masks of its second step are others than those of the first."""
    asked = fit(replace(toy.recipe(max_checks=4, patience=4), **changes))
    result, wanted = train(asked._replace(joint=OnePart())), train(asked)
    assert same_weights(result.net, wanted.net)
    assert result.steps == wanted.steps
    if changes:
        assert not same_weights(wanted.net, train(fit(toy.recipe(max_checks=4, patience=4))).net)
