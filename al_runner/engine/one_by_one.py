"""The engine that trains one fit after the other."""

from collections.abc import Callable, Sequence
from itertools import islice
from time import perf_counter

import torch
from torch import Tensor, nn

from al_runner.engine.joint import JointSteps
from al_runner.engine.parts import (
    initial_net,
    objective,
    optimizer_for,
    orders,
    set_rate,
    without_augmentation,
)
from al_runner.engine.precision import precision
from al_runner.engine.stopping import Patience, require_finite
from al_runner.models.layers import seeded_layers
from al_runner.rng import global_stream
from al_runner.system.chunks import chunks
from al_runner.training import Fit, Trained, least_minibatch


def train_all(fits: Sequence[Fit]) -> list[Trained | Exception]:
    """Train the fits one after the other; a fit that failed has its exception in the list."""
    outcomes: list[Trained | Exception] = []
    for fit in fits:
        try:
            outcomes.append(train(fit))
        except Exception as error:  # `drive` raises it in the job that asked for this fit
            outcomes.append(error)
    return outcomes


def train(fit: Fit) -> Trained:
    """Train as the recipe says, and restore the weights with the lowest validation error (the rule is in `Recipe`).

    Raises NonFiniteLoss at the first check after a loss that is NaN or infinite.
    """
    start = perf_counter()
    recipe, data = fit.recipe, fit.data
    device = data.x.device
    net = initial_net(fit)
    take = steps_of_one_loss(fit, net) if fit.joint is None else JointSteps(fit, fit.joint, net)
    least, rule, steps, best = least_minibatch(net), Patience(recipe), 0, weights(net)
    batches = orders(len(data.y), recipe, fit.streams("order"), fit.chances, least)
    per_check = recipe.steps_per_check(len(data.y), least)
    # Dropout layers have their own streams. The global stream is for nets that call torch's random functions.
    with global_stream(fit.streams("dropout"), device), precision(recipe, device):
        while not rule.over:
            losses = []
            for place, ids in enumerate([ids.to(device) for ids in islice(batches, per_check)], steps):
                losses.append(take(data.x[ids], data.y[ids], place, per_check))
            require_finite(torch.stack(losses), steps)
            steps += per_check
            if rule.record(error_rate(net, data.val_x, data.val_y)):
                best = weights(net)
    net.load_state_dict(best)
    net.zero_grad()  # frees the gradients
    return Trained(without_augmentation(net, recipe), steps, perf_counter() - start)


def steps_of_one_loss(fit: Fit, net: nn.Module) -> Callable[[Tensor, Tensor, int, int], Tensor]:
    """Takes images, labels, the step's number from 0 and the steps per check; gives `step`'s loss."""
    optimizer = optimizer_for(fit.recipe, net.parameters())

    def take(x: Tensor, y: Tensor, place: int, per_check: int) -> Tensor:
        set_rate(optimizer, fit.recipe, place, per_check)
        return step(net, optimizer, x, y, fit)

    return take


def step(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, fit: Fit) -> Tensor:
    """Take one optimiser step; returns the loss before it, detached."""
    loss = objective(fit, net(x), y, net.parameters())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for layer in seeded_layers(net):
        layer.stream += 1
    return loss.detach()


def weights(net: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: value.clone() for name, value in net.state_dict().items()}


@torch.inference_mode()
def error_rate(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of wrong predictions in evaluation mode, in [0, 1]; the net is left in training mode."""
    net.eval()
    parts = chunks(x)
    pairs = zip(parts, y.split([len(part) for part in parts]), strict=True)
    wrong = torch.stack([(net(part).argmax(1) != labels).sum() for part, labels in pairs]).sum()
    net.train()
    return float(wrong) / len(y)
