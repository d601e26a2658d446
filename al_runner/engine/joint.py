"""Fits in which the learner takes its own steps; every part of the net has losses and an optimiser of its own."""

import torch
from torch import Tensor, nn

from al_runner.engine.parts import optimizer_for, penalised, set_rate
from al_runner.models.layers import seeded_layers
from al_runner.training import Fit, Joint


class JointSteps:
    """Carries out the steps of `joint` on a net in training mode."""

    def __init__(self, fit: Fit, joint: Joint, net: nn.Module):
        self._fit, self._joint, self._net = fit, joint, net
        self._recipes = joint.recipes(fit.recipe)
        self._weights = {name: list(net.get_submodule(name).parameters()) for name in self._recipes}
        self._optimizers = {name: optimizer_for(recipe, self._weights[name]) for name, recipe in self._recipes.items()}
        self._rng = fit.streams("latent")
        self._loss = fit.criterion

    def __call__(self, x: Tensor, y: Tensor, place: int, per_check: int) -> Tensor:
        """One step, the `place`th from 0; the sum of all parts' losses before their moves, detached."""
        for name, recipe in self._recipes.items():
            set_rate(self._optimizers[name], recipe, place, per_check)
        loss = self._joint.step(self._net, x, y, self._loss, self.move, self._rng)
        for layer in seeded_layers(self._net):
            layer.stream += 1
        return loss

    @property
    def optimizer_state(self) -> None:
        """Always None: optimisers of several parts start anew in every fit."""

    def move(self, part: str, loss: Tensor) -> None:
        """One optimiser step of the part by the loss's gradient with respect to its own weights; no other moves."""
        weights = self._weights[part]
        loss = penalised(loss, self._recipes[part], weights)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self._optimizers[part].step()
