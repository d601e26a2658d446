"""Splits nets for many passes with different dropout masks: the layers before the first mask are computed only once.

N images, I inputs, O outputs of a dense layer.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from al_runner.models.layers import SeededDropout


class MaskedLinear(nn.Module):
    """Dropout and the dense layer after it; a mask that all images share is applied to the weights instead."""

    def __init__(self, dropout: SeededDropout, dense: nn.Linear):
        super().__init__()
        self.dropout, self.dense = dropout, dense

    def forward(self, x: Tensor) -> Tensor:
        weight = self.dense.weight
        if self.dropout.shared and x.ndim == 2:
            weight = weight * self.dropout(x.new_ones(1, x.shape[1]))
        else:
            x = self.dropout(x)
        return product(x, weight, self.dense.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` without gradients, [N, I], [O, I], [O] -> [N, O].

    In float32 on a CPU it uses oneDNN. Torch's default is MKL, which does not use AVX-512 on AMD processors and takes
    twice as long there.
    """
    if x.ndim == 2 and x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        shift = None if bias is None else bias.to_mkldnn()
        return linear(x.to_mkldnn(), weight.to_mkldnn(), shift).to_dense()
    return linear(x, weight, bias)


def split(net: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The part of a net before its first dropout layer, and the rest.

    Only nn.Sequential is split. Another container with dropout inside belongs to the rest as a whole.
    """
    layers = merged(flattened_first(in_order(net)))
    cut = next(place for place, layer in enumerate(layers) if dropout_layers(layer))
    return nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])


def flattened_first(layers: list[nn.Module]) -> list[nn.Module]:
    """The same function with every nn.Flatten moved before a dropout of single values, so that it is done only once."""
    layers = list(layers)
    for place in range(len(layers) - 1):
        first, second = layers[place : place + 2]
        single = isinstance(first, SeededDropout) and not first.channels
        if single and isinstance(second, nn.Flatten) and (second.start_dim, second.end_dim) == (1, -1):
            layers[place : place + 2] = [second, first]
    return layers


def merged(layers: list[nn.Module]) -> list[nn.Module]:
    """The same function, where each dropout followed by a dense layer is one `MaskedLinear`."""
    if len(layers) < 2:
        return layers
    first, second, *others = layers
    if isinstance(first, SeededDropout) and type(second) is nn.Linear:
        return [MaskedLinear(first, second), *merged(others)]
    return [first, *merged(layers[1:])]


def in_order(net: nn.Module) -> list[nn.Module]:
    """The layers of nested nn.Sequential, first to last."""
    return [layer for child in net for layer in in_order(child)] if type(net) is nn.Sequential else [net]


def dropout_layers(net: nn.Module) -> list[SeededDropout]:
    """All seeded dropout layers, in the order of the modules."""
    return [layer for layer in net.modules() if isinstance(layer, SeededDropout)]
