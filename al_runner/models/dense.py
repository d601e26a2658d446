"""The last dense layer of a net: its inputs are the net's features, and it turns them into logits.

N images of C x H x W values, D features.
"""

from torch import Tensor, nn


def last_dense(net: nn.Module) -> nn.Linear | None:
    """The net's last `nn.Linear`, or None if it has none."""
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    return layers[-1] if layers else None


def inputs_of(layer: nn.Module, net: nn.Module, x: Tensor) -> Tensor:
    """What `layer`, a part of `net`, gets in a forward pass of x, [N, C, H, W] -> [N, D].

    If one forward pass uses the layer twice, these are its last inputs.
    """
    seen: list[Tensor] = []
    with layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        net(x)
    return seen[-1].flatten(1)
