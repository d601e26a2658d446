"""Which layers have a Fisher block, under which name, and why the others have none."""

from collections import Counter
from typing import TypeGuard

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from al_runner.errors import UsageError

Dense = nn.Linear
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Normalisation = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.GroupNorm | nn.LayerNorm
Layer = Dense | Convolution | Normalisation

# A subclass with its own forward may compute something else than its base class, so it is not treated.
FORWARDS = {
    kind.forward for kind in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
}
REMEDY = "strategy.skip_untreated=true leaves it out, or choose another model or a strategy without Fisher factors"


def treatable_layers(net: nn.Module, skip_untreated: bool = False) -> dict[str, Layer]:
    """The layers of `net` that have parameters and a Fisher block, by name.

    Raises UsageError if a layer with parameters has no Fisher block; with `skip_untreated` it is left out. Always
    raises UsageError if no layer is left, or if a BatchNorm mixes examples even in evaluation mode.
    """
    owners = Counter(parameter for module in net.modules() for parameter in module.parameters(recurse=False))
    layers: dict[str, Layer] = {}
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise mixes_examples(name)
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        if not is_layer(module):
            reason = f"is {_one_line(module)}"
        elif "weight" not in own or own.keys() - {"weight", "bias"}:
            reason = f"needs a weight and at most a bias as parameters, but has {', '.join(own)}"
        elif any(owners[parameter] > 1 for parameter in own.values()):
            reason = "shares a parameter with another layer"
        else:
            layers[name] = module
            continue
        if not skip_untreated:
            raise untreated(name, reason)
    return not_empty(layers)


def not_empty(layers: dict[str, Layer]) -> dict[str, Layer]:
    """The same `layers`; raises UsageError if there are none."""
    if not layers:
        raise UsageError("no layer of this net has a Fisher block; choose another model, or another strategy")
    return layers


def untreated(name: str, reason: str) -> UsageError:
    """The error that names a layer without a Fisher block."""
    return UsageError(f"Fisher factors: layer {name!r} {reason}; {REMEDY}")


def mixes_examples(name: str) -> UsageError:
    """The error for a BatchNorm that uses the batch's statistics, so that no example has its own gradient."""
    return UsageError(
        f"Fisher factors: layer {name!r} normalises by the batch it sees, so no example has its own gradient; "
        "put it into evaluation mode, with track_running_stats=True"
    )


def is_layer(module: nn.Module) -> TypeGuard[Layer]:
    """Whether the module is a treatable layer that computes what its class computes."""
    return isinstance(module, Layer) and type(module).forward in FORWARDS


def block_names(name: str, layer: Layer) -> list[str]:
    """The names of a layer's blocks: its own, or one for each group of a grouped convolution."""
    groups = layer.groups if isinstance(layer, Convolution) else 1
    return [name] if groups == 1 else [f"{name}[{group}]" for group in range(groups)]


def layers_of(net: nn.Module, blocks: set[str]) -> dict[str, Layer]:
    """The layers of `net` with at least one of `blocks`; raises UsageError if no layer has one of the blocks."""
    layers = treatable_layers(net, skip_untreated=True)
    unknown = blocks.difference(block for name, layer in layers.items() for block in block_names(name, layer))
    if unknown:
        raise UsageError(f"this net has no block {min(unknown)!r}; give factors that were computed for this net")
    return {name: layer for name, layer in layers.items() if blocks.intersection(block_names(name, layer))}


def _one_line(module: nn.Module) -> str:
    text = repr(module)
    return type(module).__name__ if "\n" in text else text
