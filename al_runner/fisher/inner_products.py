"""Inner products of examples' gradients by all weights, without the gradients of dense layers.

Axes as in the package; m and n examples, L losses of each.
"""

from collections.abc import Mapping
from functools import reduce

from torch import Tensor, nn

from al_runner.fisher.capture import Losses, joined, samples
from al_runner.fisher.layers import Layer
from al_runner.fisher.rows import LayerSamples


def gradients(net: nn.Module, x: Tensor, losses: Losses, layers: Mapping[str, Layer]) -> dict[str, LayerSamples]:
    """By the weights of every block, one position each: inputs [n, 1, i] and gradients [n, L, o], of loss l i (x) o_l.

    A block with more positions than one has its gradients themselves for outputs, and the constant 1 for its input.
    One forward pass and L backward passes; UsageError as in `samples`.
    """
    return joined((name, at_one_position(part)) for name, part in samples(net, x, losses, layers))


def at_one_position(part: LayerSamples) -> LayerSamples:
    """The same gradients with one position, [n, t, i] and [n, L t, o] -> [n, 1, 1] and [n, L, o i] unless t is 1."""
    n, positions, _ = part.inputs.shape
    if positions == 1:
        return part
    each = part.gradients.unflatten(1, (-1, positions)).mT  # [n, L, o, t]
    summed = (each.flatten(1, 2) @ part.inputs).view(n, each.shape[1], -1)
    return LayerSamples(part.inputs.new_ones(n, 1, 1), summed)


def inner_products(left: Mapping[str, LayerSamples], right: Mapping[str, LayerSamples]) -> Tensor:
    """Of the gradients of L losses of m examples with those of one loss of n, summed over all blocks, [m, L, n]."""
    blocks = (
        (left[name].gradients @ gradients[:, 0].T).mul_((left[name].inputs[:, 0] @ inputs[:, 0].T)[:, None])
        for name, (inputs, gradients) in right.items()
    )
    return reduce(Tensor.add_, blocks)


def numbers(net: nn.Module, x: Tensor, losses: Losses, layers: Mapping[str, Layer]) -> int:
    """How many `gradients` of `x` takes to hold, with the rows it makes them of."""
    rows = joined(samples(net, x, losses, layers))
    parts = (*rows.values(), *map(at_one_position, rows.values()))
    return sum(part.inputs.numel() + part.gradients.numel() for part in parts)
