"""From a layer's input and output gradient to the rows from which its Fisher blocks are computed.

Axes as in the package: n examples, t positions, i inputs, o outputs; c channels.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, group_norm, layer_norm, pad

from al_runner.fisher.layers import Convolution, Dense, Layer, Normalisation, block_names

ROWS = 2**24  # the most numbers in the rows that are made at once, 64 MB in single precision
FEW = 2**19  # as many numbers as stay in the cache until they are multiplied; new memory from the system is slower


class LayerSamples(NamedTuple):
    """The inputs and output gradients of one block for n examples."""

    inputs: Tensor  # [n, t, i]
    gradients: Tensor  # of each example's own loss with respect to the layer's output, [n, t, o]


def block_samples(
    name: str, layer: Layer, before: Tensor, gradients: Sequence[Tensor]
) -> Iterator[tuple[str, LayerSamples]]:
    """Every block of a layer with its name, from the layer's input `before` and the gradients of its output.

    Several gradients count as more positions. A grouped convolution has a block for each group, with the channels of
    that group only. If all examples have too many rows, a block comes in several parts of a few examples, in order.
    """
    if isinstance(layer, Normalisation):
        rows = [_affine_gradients(layer, before, gradient) for gradient in gradients]
        yield name, LayerSamples(before.new_ones(len(before), 1, 1, dtype=rows[0].dtype), _joined(rows))
        return
    groups = layer.groups if isinstance(layer, Convolution) else 1
    positions = gradients[0][0].numel() // len(layer.weight)
    few = _few(positions, layer.weight[0].numel(), len(gradients) * len(layer.weight))
    for x, *parts in zip(before.split(few), *(gradient.split(few) for gradient in gradients), strict=True):
        chunks = zip(x.chunk(groups, 1), *(part.chunk(groups, 1) for part in parts), strict=True)
        for block, (a, *own) in zip(block_names(name, layer), chunks, strict=True):
            yield block, LayerSamples(_inputs(layer, a), output_rows(layer, own))


def _few(positions: int, inputs: int, outputs: int) -> int:
    """The number of examples whose rows are made at once: more for a wide block, whose i x i sums are costly."""
    numbers = min(ROWS, max(FEW, 16 * inputs**2))
    return max(1, numbers // (positions * max(inputs, outputs)))


def _joined(rows: list[Tensor]) -> Tensor:
    """The positions of all `rows` together, [n, t, o] each -> [n, sum of t, o]."""
    return rows[0] if len(rows) == 1 else torch.cat(rows, 1)


def output_rows(layer: Dense | Convolution, gradients: Sequence[Tensor]) -> Tensor:
    """Gradients of a layer's output, or of one group of it, as rows; several count as more positions, [n, L t, o]."""
    return _joined([_positions(gradient, layer) for gradient in gradients])


def _affine_gradients(layer: Normalisation, before: Tensor, gradient: Tensor) -> Tensor:
    """Gradients with respect to a normalisation's scale and its shift, if it has one, [n, 1, o]; o = 2 C with a shift.

    In evaluation mode BatchNorm is y = scale * z + shift with fixed statistics, so an example's gradient is
    (sum_t g_t * z_t, sum_t g_t). The block is the full matrix of its outer products, 1 (x) tau, as in the published
    code of Ducoffe & Precioso (2017). Osawa et al. (2020) keep only a 2 x 2 block for each channel.
    """
    z = _standardised(layer, before)
    products = (gradient * z, gradient) if layer.bias is not None else (gradient * z,)
    n = len(gradient)
    if isinstance(layer, torch.nn.LayerNorm):
        sums = [product.reshape(n, -1, layer.weight.numel()).sum(1) for product in products]
    else:
        sums = [product.reshape(n, len(layer.weight), -1).sum(2) for product in products]
    return torch.cat(sums, 1)[:, None]


def _standardised(layer: Normalisation, x: Tensor) -> Tensor:
    """The standardised input, which the layer multiplies by its scale."""
    if isinstance(layer, torch.nn.GroupNorm):
        return group_norm(x, layer.num_groups, eps=layer.eps)
    if isinstance(layer, torch.nn.LayerNorm):
        return layer_norm(x, layer.normalized_shape, eps=layer.eps)
    return batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)


def _positions(values: Tensor, layer: Dense | Convolution) -> Tensor:
    """[n, o, ...] of a convolution, or [n, ..., o] of a dense layer -> [n, t, o]."""
    if isinstance(layer, Convolution):
        return values.movedim(1, -1).flatten(1, -2)
    return values.reshape(len(values), -1, values.shape[-1])


def _inputs(layer: Dense | Convolution, values: Tensor) -> Tensor:
    """A layer's input as the rows that its weights multiply, with the bias's constant 1 at the end, [n, t, i]."""
    rows = _patches(layer, values) if isinstance(layer, Convolution) else _positions(values, layer)
    shape = rows.shape
    where = 2 if isinstance(layer, Dense) else 1 + len(layer.kernel_size)  # the first axis of a position's inputs
    size = shape[where:].numel()
    out = values.new_empty(*shape[:where], size + (layer.bias is not None))
    out[..., :size].view(shape).copy_(rows)
    out[..., size:] = 1
    return out.flatten(1, -2)


def padded(layer: Convolution, x: Tensor) -> Tensor:
    """The image as the convolution sees it, with its padding."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return pad(x, layer._reversed_padding_repeated_twice, mode=mode)


def _patches(layer: Convolution, x: Tensor) -> Tensor:
    """The patch of every output position, as a strided view [n, *out, *kernel, c]; only the padding is a copy."""
    # Channels last: a patch is then a few long contiguous runs, and copying it costs little.
    x = padded(layer, x).movedim(1, -1).contiguous()
    kernel, steps, gaps = layer.kernel_size, layer.stride, layer.dilation
    sides = zip(x.shape[1:-1], kernel, steps, gaps, strict=True)
    out = [(side - gap * (width - 1) - 1) // step + 1 for side, width, step, gap in sides]
    (example, *axes, channel) = x.stride()
    moves = [step * axis for step, axis in zip(steps, axes, strict=True)]
    offsets = [gap * axis for gap, axis in zip(gaps, axes, strict=True)]
    return x.as_strided((len(x), *out, *kernel, x.shape[-1]), (example, *moves, *offsets, channel))
