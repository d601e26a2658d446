"""Inner products of the examples' gradients with respect to all weights; dense layers' gradients are never formed.

Axes as in the package; m and n examples, L losses of each example.
"""

from collections.abc import Mapping
from functools import reduce

from torch import Tensor, nn

from al_runner.fisher.capture import Losses, captured_parts, joined
from al_runner.fisher.layers import Layer
from al_runner.fisher.rows import LayerSamples


def gradients(net: nn.Module, x: Tensor, losses: Losses, layers: Mapping[str, Layer]) -> dict[str, LayerSamples]:
    """Gradients with respect to every block's weights, as one position: inputs [n, 1, i] and gradients [n, L, o].

    The gradient of loss l is the outer product i (x) o_l. A block with several positions has the gradient itself as
    its output gradient, and the constant 1 as its input. It takes one forward pass and L backward passes. Raises
    UsageError as `captured_parts` does.
    """
    return joined((name, at_one_position(part)) for name, part in captured_parts(net, x, losses, layers))


def at_one_position(part: LayerSamples) -> LayerSamples:
    """The same gradients as one position, [n, t, i], [n, L t, o] -> [n, 1, 1], [n, L, o i]; unchanged if t is 1."""
    n, positions, _ = part.inputs.shape
    if positions == 1:
        return part
    each = part.gradients.unflatten(1, (-1, positions)).mT  # [n, L, o, t]
    summed = (each.flatten(1, 2) @ part.inputs).view(n, each.shape[1], -1)
    return LayerSamples(part.inputs.new_ones(n, 1, 1), summed)


def inner_products(left: Mapping[str, LayerSamples], right: Mapping[str, LayerSamples]) -> Tensor:
    """Inner products of L gradients of each of m examples with one of each of n, over all blocks, [m, L, n]."""
    blocks = (
        (left[name].gradients @ gradients[:, 0].T).mul_((left[name].inputs[:, 0] @ inputs[:, 0].T)[:, None])
        for name, (inputs, gradients) in right.items()
    )
    return reduce(Tensor.add_, blocks)


def gradient_size(net: nn.Module, x: Tensor, losses: Losses, layers: Mapping[str, Layer]) -> int:
    """How many numbers `gradients` of `x` needs in memory, with the rows that it is computed from."""
    rows = joined(captured_parts(net, x, losses, layers))
    return numbers_in(rows) + numbers_in({name: at_one_position(part) for name, part in rows.items()})


def numbers_in(samples: Mapping[str, LayerSamples]) -> int:
    """How many numbers the samples of all blocks hold."""
    return sum(part.inputs.numel() + part.gradients.numel() for part in samples.values())
