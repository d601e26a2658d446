"""The engine that trains one fit after the other."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from itertools import islice
from time import perf_counter
from traceback import clear_frames
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.engine.joint import JointSteps
from al_runner.engine.parts import (
    initial_net,
    largest_minibatch,
    objective,
    optimizer_for,
    orders,
    set_rate,
    without_augmentation,
)
from al_runner.engine.precision import precision
from al_runner.engine.recompute import frugal
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
            clear_frames(error.__traceback__)  # otherwise they keep the net and its step in memory
            outcomes.append(error)
    return outcomes


def train(fit: Fit) -> Trained:
    """Train as the recipe says, and restore the weights that it keeps (the rule is in `Recipe`).

    Raises NonFiniteLoss at the first check after a loss that is NaN or infinite.
    """
    start = perf_counter()
    recipe, data = fit.recipe, fit.data
    monitored = error_rate if recipe.monitor == "error" else mean_loss
    device = data.x.device
    net = initial_net(fit)
    take = OneLoss(fit, net) if fit.joint is None else JointSteps(fit, fit.joint, net)
    least, rule, steps, best = least_minibatch(net), Patience(recipe), 0, weights(net)
    batches = orders(len(data.y), recipe, fit.streams("order"), fit.drawn_by, least)
    per_check = recipe.steps_per_check(len(data.y), least)
    # Dropout layers have their own streams. The global stream is for nets that call torch's random functions.
    with global_stream(fit.streams("dropout"), device), precision(recipe, device):
        while not rule.over:
            losses, block = [], list(islice(batches, per_check))
            sent = torch.cat(block).to(device).split([len(ids) for ids in block])
            for place, ids in enumerate(sent, steps):
                losses.append(take(data.x[ids], data.y[ids], place, per_check))
            require_finite(torch.stack(losses), steps)
            steps += per_check
            if rule.record(monitored(net, data.val_x, data.val_y)):
                best = weights(net)
    net.load_state_dict(best)
    net.zero_grad()  # frees the gradients
    return Trained(without_augmentation(net, recipe), steps, perf_counter() - start, take.optimizer_state)


class OneLoss:
    """Carries out the steps of a fit in which one loss moves all weights, on a net in training mode."""

    def __init__(self, fit: Fit, net: nn.Module):
        self._fit, self._net = fit._replace(loss=fit.criterion), net  # the loss is made once
        self._forward = frugal(net, fit.data.x, largest_minibatch(fit))
        self._optimizer = optimizer_for(fit.recipe, net.parameters())
        if fit.optimizer_state:  # copied, because steps change the state in place
            self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": deepcopy(fit.optimizer_state)})

    def __call__(self, x: Tensor, y: Tensor, place: int, per_check: int) -> Tensor:
        """One step, the `place`th from 0; its loss, detached."""
        set_rate(self._optimizer, self._fit.recipe, place, per_check)
        return step(self._net, self._optimizer, x, y, self._fit, self._forward)

    @property
    def optimizer_state(self) -> Mapping[int, Any] | None:
        """The optimiser's state now, if the fit has one, too."""
        return None if self._fit.optimizer_state is None else self._optimizer.state_dict()["state"]


def step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    fit: Fit,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Take one optimiser step; returns the loss before it, detached. `forward` computes what `net` does."""
    loss = objective(fit, (forward or net)(x), y, net.parameters())
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
    return float(_total(net, x, y, lambda logits, labels: (logits.argmax(1) != labels).sum())) / len(y)


@torch.inference_mode()
def mean_loss(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The mean cross-entropy in nats in evaluation mode; the net is left in training mode."""
    return float(_total(net, x, y, partial(cross_entropy, reduction="sum"))) / len(y)


def _total(net: nn.Module, x: Tensor, y: Tensor, sums: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    net.eval()
    parts = chunks(x)
    pairs = zip(parts, y.split([len(part) for part in parts]), strict=True)
    total = torch.stack([sums(net(part), labels) for part, labels in pairs]).sum()
    net.train()
    return total
