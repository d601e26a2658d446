"""Many nets of one architecture, trained together as one stack.

E nets, N training examples for each, B examples in a minibatch, M validation examples, Y classes.
"""

import copy
from collections.abc import Sequence
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from al_runner.balance import example_weights
from al_runner.engine.parts import fits_in_graph, initial_net, objectives, optimizer_for, without_augmentation
from al_runner.engine.precision import precision
from al_runner.engine.replay import Graphs, Replay
from al_runner.models.layers import Seeded
from al_runner.system.chunks import at_once
from al_runner.training import Fit, least_minibatch

EVALUATION_ROWS = 16384  # images times nets in one forward pass of validation; fewer if images are large


class Stack:
    """The nets of `fits`, trained by common steps; every parameter and live buffer has a leading axis of E nets.

    A step reads and writes only tensors that stay in the same place, so that a CUDA graph can capture it. Raises
    RuntimeError if torch.func.vmap can't handle a layer.
    """

    def __init__(self, fits: Sequence[Fit]):
        self._fit, self._recipe, first = fits[0], fits[0].recipe, fits[0].data
        self._device = first.x.device
        nets = [initial_net(fit) for fit in fits]
        self._template = copy.deepcopy(nets[0])
        states = [dict(net.named_parameters()) for net in nets]
        self._weights = {
            name: torch.stack([state[name].detach() for state in states]).requires_grad_(weight.requires_grad)
            for name, weight in states[0].items()
        }
        self._buffers = live_buffers(nets)
        self._streams = [self._buffers[name] for name in stream_names(self._template)]
        self._optimizer = optimizer_for(self._recipe, self._weights.values())  # type: ignore[arg-type]
        self._best = {name: value.detach().clone() for name, value in self._state().items()}
        self._x, self._y = torch.stack([fit.data.x for fit in fits]), torch.stack([fit.data.y for fit in fits])
        balanced = self._recipe.class_weights is not None and self._fit.loss is None
        self._of_examples = torch.stack([example_weights(fit.data.y) for fit in fits]) if balanced else None
        self._val_x, self._val_y, self._val_axis = shared(fits)
        self.least = least_minibatch(self._template)
        self.per_check = self._recipe.steps_per_check(self._x.shape[1], self.least)
        self._done = 0  # steps
        self._factor = torch.ones((), dtype=next(iter(self._weights.values())).dtype, device=self._device)
        self.captures = self._x.is_cuda and fits_in_graph(self._optimizer)
        self._prepare()

    def __len__(self) -> int:
        return len(self._x)

    def train(self, positions: Tensor, sizes: Sequence[int]) -> Tensor:
        """Take one step for each entry of `sizes`, on minibatches side by side in `positions`, [E, sum(sizes)].

        Returns the losses before each step, [steps, E]; the next call overwrites them.
        """
        self._positions[:, : positions.shape[1]].copy_(positions, non_blocking=True)
        self._at.zero_()
        self._step.zero_()
        with precision(self._recipe, self._device):
            for step, size in enumerate(sizes, self._done):
                if self._recipe.schedule is not None:
                    self._factor.fill_(self._recipe.rate_factor(step, self.per_check))
                if size not in self._replays:
                    self._replays[size] = Replay(partial(self._one_step, size), self._graphs)
                self._replays[size]()
        self._done += len(sizes)
        return self._losses[: len(sizes)]

    def validate(self) -> Tensor:
        """Validation errors, or losses if the recipe monitors them, in evaluation mode, float64 [E].

        The next call overwrites them.
        """
        with precision(self._recipe, self._device):
            self._validation()
        return self._errors

    @torch.no_grad()
    def _validate(self) -> None:
        self._template.eval()
        axes, examples = (0, 0, self._val_axis), 0 if self._val_axis is None else 1
        rows = max(1, at_once(EVALUATION_ROWS, prod(self._x.shape[2:])) // len(self))
        self._errors.zero_()
        for x, y in zip(self._val_x.split(rows, examples), self._val_y.split(rows, examples), strict=True):
            logits = vmap(self._forward, axes)(self._weights, self._buffers, x)
            self._errors += self._monitored(logits, y.expand(logits.shape[:-1])).sum(-1)
        self._errors /= self._val_y.shape[-1]
        self._template.train()

    def _monitored(self, logits: Tensor, y: Tensor) -> Tensor:
        """What a check measures of each example, [E, B, Y] and [E, B] -> [E, B]."""
        if self._recipe.monitor == "error":
            return logits.argmax(-1) != y
        return cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y).double()

    def remember(self, rows: Sequence[int]) -> None:
        """Store the current weights of the nets at `rows` as their best."""
        at = torch.tensor(rows, device=self._device)
        for name, value in self._state().items():
            self._best[name].index_copy_(0, at, value.detach().index_select(0, at))

    def net(self, row: int) -> nn.Module:
        """A copy of the net at `row` alone, with its best weights; buffers that no state_dict has are those of now."""
        net = copy.deepcopy(self._template)
        for name, value in self._buffers.items():
            net.get_buffer(name).copy_(value[row])
        net.load_state_dict({name: value[row] for name, value in self._best.items()}, strict=False)
        return without_augmentation(net.to(memory_format=torch.channels_last), self._recipe)  # type: ignore[call-overload]

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all nets but those at `rows`."""
        at = torch.tensor(rows, device=self._device)
        weights, optimizer = self._weights, self._optimizer
        self._weights = {
            name: value.detach().index_select(0, at).requires_grad_(value.requires_grad)
            for name, value in weights.items()
        }
        self._optimizer = optimizer_for(self._recipe, self._weights.values())  # type: ignore[arg-type]
        for weight, kept in zip(weights.values(), self._weights.values(), strict=True):
            self._optimizer.state[kept] = {
                name: value.index_select(0, at) if isinstance(value, Tensor) and value.shape == weight.shape else value
                for name, value in optimizer.state[weight].items()
            }
        for part in (self._buffers, self._best):
            part.update({name: value.index_select(0, at) for name, value in part.items()})
        self._streams = [self._buffers[name] for name in stream_names(self._template)]
        self._x, self._y = self._x.index_select(0, at), self._y.index_select(0, at)
        if self._of_examples is not None:
            self._of_examples = self._of_examples.index_select(0, at)
        if self._val_axis == 0:
            self._val_x, self._val_y = self._val_x.index_select(0, at), self._val_y.index_select(0, at)
        self._prepare()

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the current mode, float or uint8 [E, B, ...] -> [E, B, Y]."""
        out: Tensor = vmap(self._forward)(self._weights, self._buffers, x)
        return out

    def _prepare(self) -> None:
        """Create the fixed tensors that a step works on, for the current number of nets."""
        count, device = len(self), self._device
        self._rows = torch.arange(count, device=device)[:, None]
        room = self.per_check * (self._recipe.batch_size + self.least - 1)
        self._positions = torch.zeros(count, room, dtype=torch.int64, device=device)
        self._losses = torch.zeros(self.per_check, count, dtype=next(iter(self._weights.values())).dtype, device=device)
        self._at = torch.zeros(1, dtype=torch.int64, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._errors = torch.zeros(count, dtype=torch.float64, device=device)
        self._graphs = Graphs(self._device) if self.captures else None
        self._replays: dict[int, Replay] = {}  # a step's, by the size of its minibatch
        self._validation = Replay(self._validate, self._graphs)

    def close(self) -> None:
        """Let go of all graphs. They refer to the stack, and would keep its memory until a garbage collection."""
        self._replays.clear()
        del self._validation

    def _one_step(self, size: int) -> None:
        """Take one optimiser step for every net, on its next `size` positions."""
        at = self._positions.index_select(1, self._at + torch.arange(size, device=self._device))
        x, y = self._x[self._rows, at], self._y[self._rows, at]
        outputs = vmap(self._forward)(self._weights, self._buffers, x)
        of_examples = None if self._of_examples is None else self._of_examples[self._rows, at]
        losses = objectives(self._fit, outputs, y, self._weights.values(), of_examples)
        trained = [weight for weight in self._weights.values() if weight.requires_grad]
        gradients = torch.autograd.grad(losses.sum(), trained, allow_unused=True)
        for weight, gradient in zip(trained, gradients, strict=True):
            if gradient is None:  # the net does not use this weight, so it stays as it is
                continue
            # Fused optimisers want the strides of the weight. backward() would copy every gradient to see to that.
            weight.grad = gradient if gradient.stride() == weight.stride() else torch.empty_like(weight).copy_(gradient)
        self._move()
        self._losses.index_copy_(0, self._step, losses.detach()[None])
        self._at += size
        self._step += 1
        for stream in self._streams:
            stream.add_(1)

    @torch.no_grad()
    def _move(self) -> None:
        """Take the optimiser's step, scaled by the schedule's factor.

        The step of every optimiser that is stacked is proportional to its rate, so the step is scaled and not the rate.
        A CUDA graph would keep the rate of its capture, and most optimisers read a rate tensor on the CPU.
        """
        before = [] if self._recipe.schedule is None else [weight.clone() for weight in self._weights.values()]
        self._optimizer.step()
        for start, weight in zip(before, self._weights.values(), strict=False):
            weight.copy_(start.lerp(weight, self._factor.to(weight.dtype)))

    def _forward(self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        out: Tensor = functional_call(self._template, (weights, buffers), (x,))
        return out

    def _state(self) -> dict[str, Tensor]:
        """All weights and live buffers, [E, ...] each."""
        return {**self._weights, **self._buffers}


def live_buffers(nets: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The buffers that each net must have for itself, [E, ...] each: BatchNorm's, random streams, and all that differ.

    All nets share the other buffers, such as the statistics that standardise every image. If these were stacked, every
    image would be copied for every net.
    """
    own = {
        f"{path}.{name}" if path else name
        for path, layer in nets[0].named_modules()
        if isinstance(layer, Seeded | nn.modules.batchnorm._NormBase)
        for name, _ in layer.named_buffers(recurse=False)
    }
    states = [dict(net.named_buffers()) for net in nets]
    return {
        name: torch.stack([state[name] for state in states])
        for name, value in states[0].items()
        if name in own or not all(torch.equal(value, state[name]) for state in states[1:])
    }


def stream_names(net: nn.Module) -> list[str]:
    """The names of the buffers from which seeded layers draw."""
    return [f"{path}.stream" if path else "stream" for path, layer in net.named_modules() if isinstance(layer, Seeded)]


def share_validation(fits: Sequence[Fit]) -> bool:
    """Whether all nets have the same validation images and labels in memory."""
    x, y = fits[0].data.val_x, fits[0].data.val_y
    return all(fit.data.val_x.data_ptr() == x.data_ptr() and fit.data.val_y.data_ptr() == y.data_ptr() for fit in fits)


def shared(fits: Sequence[Fit]) -> tuple[Tensor, Tensor, int | None]:
    """Validation images and labels, and their axis of nets: None if all nets share them, 0 if they are stacked."""
    if share_validation(fits):
        return fits[0].data.val_x, fits[0].data.val_y, None
    return torch.stack([fit.data.val_x for fit in fits]), torch.stack([fit.data.val_y for fit in fits]), 0
