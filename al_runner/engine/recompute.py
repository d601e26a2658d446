"""Training steps of large images in less memory: what would fill it is computed twice instead of kept.

A step keeps what its layers give, until their gradients are computed. For 64 photos of 224 x 224 in a narrow ResNet-18
this is 1.9 GB. Here a net is cut into parts, and only the parts' inputs are kept; when a part's gradient is due, the
part is computed once more (Chen et al., 2016, section 3). All numbers are the same to the last bit.

B images in a minibatch.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import sqrt

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from al_runner.engine.memory import free_bytes
from al_runner.system.chunks import at_once
from al_runner.system.freed import return_large_blocks

MEASURED = 64  # a minibatch that has no more values than this many small images is not measured
# Bytes of a step that may be kept; with more, the net is cut. A GPU that has less free memory may keep only that.
KEPT = {"cuda": 2**34, "cpu": 2**29}
# If one layer keeps more than this share of it all, a cut would cost time and save next to nothing.
UNCUT = 0.9


def frugal(net: nn.Module, x: Tensor, size: int) -> Callable[[Tensor], Tensor]:
    """`net` itself, or a function with its outputs, gradients and changes of buffers that needs less memory.

    `net` is in training mode and gets minibatches of `size` images like `x`, [N, C, H, W]. Only an `nn.Sequential` can
    be cut, into its layers; a layer with layers inside is not cut further, unless it is an `nn.Sequential`, too.
    """
    layers = in_sequence(net)
    if len(layers) < 2 or size <= at_once(MEASURED, x[0].numel()):
        return net
    rows = x[: min(2, size)]  # BatchNorm can't be trained on one image
    most = min(KEPT["cuda"], free_bytes(x.device)) if x.is_cuda else KEPT["cpu"]
    sizes = [count * size // len(rows) for count in kept_bytes(layers, rows)]
    if sum(sizes) <= most or max(sizes) > UNCUT * sum(sizes):
        return net
    return_large_blocks()
    # One part must fit, whatever its size. Parts smaller than the largest layer would only mean more inputs to keep.
    parts = [Part(layers[start:end]) for start, end in cuts(sizes, max(*sizes, int(sum(sizes) / sqrt(len(sizes)))))]

    def forward(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    return forward


def in_sequence(net: nn.Module) -> list[nn.Module]:
    """The layers that `net` applies one after the other, if it is an `nn.Sequential`; else the net alone."""
    if type(net) is not nn.Sequential or net._forward_hooks or net._forward_pre_hooks:
        return [net]
    return [layer for child in net for layer in in_sequence(child)]


def kept_bytes(layers: Sequence[nn.Module], x: Tensor) -> list[int]:
    """Bytes that autograd keeps of each layer's training pass on `x`, without weights and what an earlier one keeps."""
    copies = deepcopy(nn.ModuleList(layers))
    seen = {weight.data_ptr() for weight in copies.parameters()}
    sizes: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            held.append(tensor)  # otherwise another tensor might get its address
            sizes[-1] += tensor.nbytes
        return tensor

    held: list[Tensor] = []
    with torch.random.fork_rng(devices=[]), saved_tensors_hooks(count, lambda tensor: tensor):
        for layer in copies:
            sizes.append(0)
            x = layer(x)
    return sizes


def cuts(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """The first layer of every part and the one after its last, for layers that keep `sizes` bytes.

    A part keeps at most `most` bytes, or is a single layer.
    """
    starts, total = [0], 0
    for place, size in enumerate(sizes):
        total += size
        if total > most and place > starts[-1]:
            starts.append(place)
            total = size
    return list(zip(starts, [*starts[1:], len(sizes)], strict=True))


class Part:
    """Layers that keep only their input in a training pass, and are computed again for their gradient."""

    def __init__(self, layers: Sequence[nn.Module]):
        self._layers = nn.Sequential(*layers)

    def __call__(self, x: Tensor) -> Tensor:
        before = {name: value.clone() for name, value in self._layers.named_buffers()}
        passes = 0

        def run(x: Tensor) -> Tensor:
            nonlocal passes
            passes += 1
            if passes == 1:
                out: Tensor = self._layers(x)
                return out
            # With the buffers as they were: BatchNorm's must not move twice, and layers may compute with theirs.
            again: Tensor = functional_call(self._layers, {name: value.clone() for name, value in before.items()}, (x,))
            return again

        result: Tensor = checkpoint(run, x, use_reentrant=False)
        return result
