"""The parts of a fit that all engines share: the net, its optimiser, its minibatches and its loss."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import cross_entropy

from al_runner.balance import weighted_mean
from al_runner.models.layers import seed_layers
from al_runner.training import Fit, Recipe


def initial_net(fit: Fit) -> nn.Module:
    """A new net on the data's device, after its augmentation layer; weights come from the run's streams or `start`."""
    net = fit.recipe.first_net(fit.build, fit.streams)
    if fit.start is not None:
        net.load_state_dict(fit.start)
    if fit.recipe.augment is not None:
        net = nn.Sequential(OrderedDict(augment=fit.recipe.augment(), net=net))
    seed_layers(net, fit.streams("dropout"))
    # Convolutions run 1.5 to 2 times faster with channels last, both on a CPU and on a GPU.
    return net.to(fit.data.x.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def without_augmentation(net: nn.Module, recipe: Recipe) -> nn.Module:
    """The net without the augmentation layer that `initial_net` put before it."""
    return net if recipe.augment is None else net.get_submodule("net")


def optimizer_for(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimiser; on a GPU in the form that a CUDA graph can capture."""
    optimizer = recipe.optimizer(parameters)
    for group in optimizer.param_groups:
        if "capturable" in group and group["params"][0].is_cuda:
            group["capturable"] = True
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, per_check: int) -> None:
    """Set every learning rate to the schedule's value at this step, counted from 0."""
    for group in [] if recipe.schedule is None else optimizer.param_groups:
        group["lr"] = recipe.rate_factor(step, per_check) * group.setdefault("initial_lr", group["lr"])


def fits_in_graph(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a captured step of the optimiser does the same in every replay."""
    return isinstance(optimizer, torch.optim.SGD) or all(group.get("capturable") for group in optimizer.param_groups)


def orders(
    count: int, recipe: Recipe, rng: torch.Generator, chances: Tensor | None = None, least: int = 1
) -> Iterator[Tensor]:
    """Endless minibatches of positions, int64 on the CPU: pass after pass over `count` examples, or drawn by `chances`.

    `least` as in `Recipe.minibatch_sizes`.
    """
    if chances is not None:
        while True:
            yield torch.multinomial(chances, recipe.batch_size, replacement=True, generator=rng)
    sizes = recipe.minibatch_sizes(count, least)
    examples = max(count, sum(sizes))
    while True:
        order = torch.randperm(examples, generator=rng) if recipe.reshuffle else torch.arange(examples)
        yield from (order[: sum(sizes)] % count).split(sizes)


def largest_minibatch(fit: Fit) -> int:
    """The most examples in a minibatch of the fit."""
    if fit.drawn_by is not None:
        return fit.recipe.batch_size
    return max(fit.recipe.minibatch_sizes(len(fit.data.y)))


def objective(fit: Fit, output: Any, y: Tensor, weights: Iterable[Tensor]) -> Tensor:
    """The fit's loss on a minibatch, plus the recipe's penalty on the weights of one net."""
    return penalised(fit.criterion(output, y), fit.recipe, weights)


def objectives(
    fit: Fit, outputs: Any, y: Tensor, weights: Iterable[Tensor], of_examples: Tensor | None = None
) -> Tensor:
    """`objective` of every net of a stack, from outputs, labels [E, B] and weights of all E nets, [E].

    `of_examples` are the weights of the examples in the recipe's own loss, [E, B]. This loss is computed for all
    minibatches at once: under vmap it would be many small operations.
    """
    if fit.loss is not None:
        losses = vmap(fit.loss)(outputs, y)
    else:
        smoothing = fit.recipe.label_smoothing
        each = cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none", label_smoothing=smoothing)
        losses = each.view_as(y).mean(1) if of_examples is None else weighted_mean(each.view_as(y), of_examples)
    if not fit.recipe.norm_penalty:
        return losses
    return vmap(lambda loss, *net: penalised(loss, fit.recipe, net))(losses, *weights)


def penalised(loss: Tensor, recipe: Recipe, weights: Iterable[Tensor]) -> Tensor:
    """The loss plus the recipe's penalty on the unsquared norms of the weight tensors."""
    if recipe.norm_penalty:
        loss = loss + recipe.norm_penalty * sum(weight.norm() for weight in weights if weight.ndim > 1)
    return loss
