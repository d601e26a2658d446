"""What the Fisher blocks are made of: every layer's inputs and output gradients, by one backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from al_runner.errors import UsageError


class LayerSamples(NamedTuple):
    """One layer on n examples."""

    inputs: Tensor  # [n, t, i]
    gradients: Tensor  # of the example's own loss by the layer's output, [n, t, o]


def treatable_layers(net: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """The layers of `net` that hold parameters, by name; UsageError where one has no Kronecker form."""
    layers: dict[str, nn.Linear | nn.Conv2d] = {}
    for name, module in net.named_modules():
        if not list(module.parameters(recurse=False)):
            continue
        if not isinstance(module, nn.Linear | nn.Conv2d) or getattr(module, "groups", 1) != 1:
            raise UsageError(
                f"Fisher factors need linear and ungrouped 2-d convolution layers; {name!r} is {module}: choose "
                "another model, or a strategy without Fisher factors"
            )
        layers[name] = module
    return layers


def capture(net: nn.Module, x: Tensor, y: Tensor | None = None) -> dict[str, LayerSamples]:
    """Inputs and gradients of every layer for the loss -ln p(y | x), one backward pass for the whole batch.

    Without `y` [n] the net's own prediction (its argmax) stands for the label. `net` must be in evaluation
    mode, so that no example's gradient depends on another; it is left unchanged.
    """
    if net.training:
        raise ValueError("the net is in training mode; call net.eval() first")
    layers = treatable_layers(net)
    seen: dict[str, _Seen] = {}
    with torch.enable_grad(), _recorded(layers, seen):
        logits = net(x)
        loss = cross_entropy(logits, logits.argmax(1) if y is None else y, reduction="sum")
    for name in layers:
        if name not in seen:
            raise UsageError(f"layer {name!r} takes no part in the forward pass; remove it from the model")
        if seen[name].versions != (seen[name].before._version, seen[name].after._version):
            raise UsageError(f"the input or output of layer {name!r} is changed in place; use inplace=False around it")
    gradients = torch.autograd.grad(loss, [seen[name].after for name in layers])
    return {
        name: LayerSamples(_inputs(layers[name], seen[name].before), _positions(gradient, layers[name]))
        for name, gradient in zip(layers, gradients, strict=True)
    }


class _Seen(NamedTuple):
    before: Tensor
    after: Tensor
    versions: tuple[int, int]


@contextmanager
def _recorded(layers: dict[str, nn.Linear | nn.Conv2d], seen: dict[str, _Seen]) -> Iterator[None]:
    """While open, every layer leaves its input and output in `seen`."""

    def hook(name: str, _: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
        if name in seen:
            raise UsageError(f"layer {name!r} is used twice in one forward pass; give each use its own layer")
        if not output.requires_grad:  # a frozen net
            output.requires_grad_()
        seen[name] = _Seen(args[0].detach(), output, (args[0]._version, output._version))

    handles = [layer.register_forward_hook(partial(hook, name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _positions(values: Tensor, layer: nn.Module) -> Tensor:
    """[n, o, h, w] of a convolution, or [n, ..., o] of a dense layer -> [n, t, o]."""
    if isinstance(layer, nn.Conv2d):
        return values.permute(0, 2, 3, 1).flatten(1, 2)
    return values.reshape(len(values), -1, values.shape[-1])


def _inputs(layer: nn.Linear | nn.Conv2d, values: Tensor) -> Tensor:
    """A layer's input as rows its weights multiply, with the constant 1 of the bias last, [n, t, i]."""
    rows = _patches(layer, values) if isinstance(layer, nn.Conv2d) else _positions(values, layer)
    shape = rows.shape
    positions = shape[1:-1] if isinstance(layer, nn.Linear) else shape[1:3]
    size = shape[3:].numel() if isinstance(layer, nn.Conv2d) else shape[-1]
    out = values.new_ones(shape[0], *positions, size + (layer.bias is not None))
    out[..., :size].view(shape).copy_(rows)
    return out.flatten(1, -2)


def _patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A strided view [n, h, w, kernel h, kernel w, c] of what each output position sees; no copy but the padding's."""
    (kernel_h, kernel_w), (step_h, step_w), (gap_h, gap_w) = layer.kernel_size, layer.stride, layer.dilation
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    # Channels last: a patch is then a few long contiguous runs, and copying it costs little.
    x = pad(x, layer._reversed_padding_repeated_twice, mode=mode).permute(0, 2, 3, 1).contiguous()
    n, height, width, channels = x.shape
    out_h = (height - gap_h * (kernel_h - 1) - 1) // step_h + 1
    out_w = (width - gap_w * (kernel_w - 1) - 1) // step_w + 1
    row, column = width * channels, channels
    strides = (height * row, step_h * row, step_w * column, gap_h * row, gap_w * column, 1)
    return x.as_strided((n, out_h, out_w, kernel_h, kernel_w, channels), strides)
