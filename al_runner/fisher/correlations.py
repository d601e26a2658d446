"""The sum of a convolution's patch products, from products of shifted images; no patch is formed.

Two places of a patch that are d apart see pixels that are d apart. So all pairs of places with the same d share one sum
over the image, except at its border, which some places do not reach. For a 5 x 5 kernel there are 41 such sums, and 325
pairs of places. The result is that of the patches, up to rounding. Axes as in the package.
"""

from itertools import pairwise
from typing import TypeGuard

import torch
from torch import Tensor, nn

from al_runner.fisher.layers import Layer
from al_runner.fisher.rows import padded

CHANNELS = 8  # products of fewer channels are too small to be fast
LESS_WORK = 1.5  # how many times less arithmetic pays for the smaller matrices


def correlates(layer: Layer, x: Tensor, outputs: torch.Size) -> TypeGuard[nn.Conv2d]:
    """Whether `patch_products` treats this layer, and faster than patches do; `x` is its input [n, c, h, w].

    Not on a GPU, which would wait for hundreds of small products to be started (reckoned, not measured).
    """
    if x.device.type != "cpu" or not isinstance(layer, nn.Conv2d) or {*layer.stride, *layer.dilation} != {1}:
        return False
    (rows, columns), (high, wide) = layer.kernel_size, outputs[-2:]
    if x.shape[1] // layer.groups < CHANNELS or high < rows or wide < columns:
        return False
    shifts = ((2 * rows - 1) * (2 * columns - 1) + 1) / 2
    pixels = (high + rows - 1) * (wide + columns - 1)
    return shifts * pixels * LESS_WORK < (rows * columns) ** 2 / 2 * high * wide


def patch_products(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """sum_n sum_t a a' of the patches a of one group's channels `x` [n, c, h, w] -> float64 [i, i].

    A patch is in the order (row, column, channel), with the bias's constant 1 at the end. The stride and the dilation
    must be 1, and the output no smaller than the kernel.
    """
    image = padded(layer, x).permute(2, 3, 0, 1).contiguous()  # the examples of a row's pixels are one matrix
    (rows, columns), channels = layer.kernel_size, image.shape[3]
    size = rows * columns * channels
    psi = image.new_zeros(size + 1, size + 1, dtype=torch.float64)
    places = psi[:size, :size].unflatten(1, (rows, columns, -1)).unflatten(0, (rows, columns, -1))
    for down in range(rows):
        for right in range(1 - columns if down else 0, columns):
            sums = _products(image, down, right, rows - down, columns - abs(right))
            places.diagonal(down, 0, 3).diagonal(right, 0, 2).copy_(sums.permute(2, 3, 0, 1))
    totals = image.sum(2, dtype=torch.float64)
    for axis, count in enumerate((rows, columns)):
        totals = _windows(_cells(totals, count, axis), count, axis)
    psi[:size, size] = totals.flatten()
    psi[size, size] = len(x) * (image.shape[0] - rows + 1) * (image.shape[1] - columns + 1)
    psi = psi.triu() + psi.triu(1).T
    return psi if layer.bias is not None else psi[:size, :size]


def _products(image: Tensor, down: int, right: int, rows: int, columns: int) -> Tensor:
    """sum_n sum_p x_p x_(p + d)' for d = (`down`, `right`), over the pixels p of every window; [rows, columns, c, c].

    `image` is [height, width, n, c]. There are `rows` by `columns` windows, each one pixel further. Every window has as
    many pixels as the convolution has outputs.
    """
    first, end = max(0, -right), image.shape[1] - max(0, right)
    edges = [*range(first, first + columns), *range(end - columns + 1, end + 1)]
    upper, lower = image[: len(image) - down], image[down:]
    parts = [
        torch.bmm(upper[:, a:b].flatten(1, 2).mT, lower[:, a + right : b + right].flatten(1, 2))
        for a, b in pairwise(edges)
    ]
    cells = _cells(torch.stack(parts, 1), rows, 0)
    return _windows(_windows(cells, rows, 0), columns, 1)


def _cells(values: Tensor, count: int, axis: int) -> Tensor:
    """Along an axis, the first `count` - 1 values, the sum of those between, and the last `count` - 1; float64."""
    edge = count - 1
    first, between, last = values.split([edge, values.shape[axis] - 2 * edge, edge], axis)
    between = between.sum(axis, keepdim=True, dtype=torch.float64)
    return torch.cat([first.double(), between, last.double()], axis)


def _windows(cells: Tensor, count: int, axis: int) -> Tensor:
    """The sums of `count` neighbours along an axis of 2 `count` - 1 cells; `count` of them."""
    return cells.unfold(axis, count, 1).sum(-1)
