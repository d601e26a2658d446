"""Captures what Fisher blocks are computed from: the inputs and output gradients of every layer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from al_runner.errors import UsageError
from al_runner.fisher.layers import Layer, mixes_examples, not_empty, treatable_layers, untreated
from al_runner.fisher.rows import LayerSamples, block_samples

Losses = Callable[[Tensor], Sequence[Tensor]]  # from logits [n, Y] to sums over the examples, a backward pass for each


def capture(
    net: nn.Module, x: Tensor, y: Tensor | None = None, skip_untreated: bool = False
) -> dict[str, LayerSamples]:
    """Inputs and gradients of every block for the loss -ln p(y | x), with one backward pass for all examples `x`.

    If `y` [n] is not given, the net's own prediction (its argmax) is the label. `net` must be in evaluation mode, so
    that no example's gradient depends on another; it is left unchanged. Raises ValueError if the net is in training
    mode, and UsageError as `captured_parts` does.
    """
    return joined(captured_parts(net, x, label_loss(y), treatable_layers(net, skip_untreated), skip_untreated))


def joined(parts: Iterable[tuple[str, LayerSamples]]) -> dict[str, LayerSamples]:
    """The parts of every block, concatenated along the examples."""
    by_block: dict[str, list[LayerSamples]] = {}
    for name, part in parts:
        by_block.setdefault(name, []).append(part)
    return {
        name: own[0] if len(own) == 1 else LayerSamples(*(torch.cat(column) for column in zip(*own, strict=True)))
        for name, own in by_block.items()
    }


def captured_parts(
    net: nn.Module, x: Tensor, losses: Losses, layers: Mapping[str, Layer], skip_untreated: bool = False
) -> Iterator[tuple[str, LayerSamples]]:
    """What `capture` returns for `layers`, part by part, so that only the rows of one part are in memory.

    Gradients are those of each of the L `losses` in turn, [n, L t, o]. Raises as `captured_layers` does.
    """
    for name, layer, before, gradients in captured_layers(net, x, losses, layers, skip_untreated):
        yield from block_samples(name, layer, before, gradients)


def captured_layers(
    net: nn.Module, x: Tensor, losses: Losses, layers: Mapping[str, Layer], skip_untreated: bool = False
) -> Iterator[tuple[str, Layer, Tensor, list[Tensor]]]:
    """Every layer with its name, its input, and the gradients of its output for those of the `losses` that have one.

    Raises UsageError if the net gives no logits [n, Y], or if the forward pass does not use a layer in a way that has a
    Fisher block; with `skip_untreated` such a layer is left out. Raises ValueError if the net is in training mode.
    """
    require_evaluation(net)
    uses: dict[str, list[_Use]] = {name: [] for name in layers}
    with torch.enable_grad(), _recorded(layers, uses):
        logits = net(x)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
            raise UsageError(f"Fisher factors need a net that gives logits [n, classes] for its {len(x)} examples")
        sums = losses(logits)
    reasons = {name: reason for name in layers if (reason := _misused(uses[name], len(x)))}
    for name, reason in reasons.items():
        if not skip_untreated:
            raise untreated(name, reason)
    used = not_empty({name: layer for name, layer in layers.items() if name not in reasons})
    edges = [uses[name][0].after for name in used]
    passes = [
        list(torch.autograd.grad(loss, edges, retain_graph=place + 1 < len(sums), allow_unused=True))
        for place, loss in enumerate(sums)
    ]
    for name, layer in used.items():
        # Popped, so that their memory is freed together with the layer's samples.
        gradients, (use,) = [each.pop(0) for each in passes], uses.pop(name)
        present = [gradient for gradient in gradients if gradient is not None]
        if present:
            yield name, layer, use.before, present
        elif not skip_untreated:
            raise untreated(name, "has no effect on the logits")


def label_loss(y: Tensor | None) -> Losses:
    """-ln p(y | x), summed over the examples; if `y` is None, the net's own prediction is the label."""
    return lambda logits: [cross_entropy(logits, logits.argmax(1) if y is None else y, reduction="sum")]


def expected_losses(logits: Tensor) -> list[Tensor]:
    """A loss for every class c as the label, times sqrt(Y p(c | x)), from logits [n, Y].

    The mean over classes of the gradients' squares is then their expectation over the prediction.
    """
    classes = logits.shape[1]
    weights = (classes * logits.detach().softmax(1)).sqrt()
    return [
        (weights[:, c] * cross_entropy(logits, torch.full_like(logits.argmax(1), c), reduction="none")).sum()
        for c in range(classes)
    ]


def fisher_losses(y: Tensor | None, expected: bool) -> Losses:
    """The losses for the Fisher matrix itself if `expected`, else for the empirical one (Kunstner et al., 2019)."""
    return expected_losses if expected else label_loss(y)


def require_evaluation(net: nn.Module) -> None:
    """Raises ValueError if the net is in training mode, and UsageError if only one of its BatchNorms is."""
    if net.training:
        raise ValueError("the net is in training mode; call net.eval() first")
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm) and module.training:
            raise mixes_examples(name)


class _Use:
    """One call of a layer: its input, and the place where autograd keeps the gradient of its output."""

    def __init__(self, before: Tensor, after: GradientEdge):
        self.before, self.after = before, after
        self.version = before._version


@contextmanager
def _recorded(layers: Mapping[str, Layer], uses: dict[str, list[_Use]]) -> Iterator[None]:
    """While open, adds every call of a layer to `uses`."""

    def hook(name: str, _: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        if not output.requires_grad:  # a frozen net, or one that calls the layer without gradients
            with torch.enable_grad():
                output = output.detach().requires_grad_().clone()
        before: Tensor = args[0] if args else kwargs["input"]
        # The edge, not the tensor: it belongs to the layer's own output, even if a later step changes that in place.
        uses[name].append(_Use(before.detach(), get_gradient_edge(output)))
        return output

    handles = [layer.register_forward_hook(partial(hook, name), with_kwargs=True) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _misused(uses: list[_Use], examples: int) -> str | None:
    """Why a layer's calls in one forward pass give no Fisher block; None if they give one."""
    if not uses:
        return "is not used in the forward pass"
    if len(uses) > 1:
        return "is used twice in one forward pass, and each use needs its own layer"
    if len(uses[0].before) != examples:
        return f"sees a batch of {len(uses[0].before)} for {examples} examples"
    if uses[0].before._version != uses[0].version:
        return "has its input changed in place after it was used"
    return None
