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

# A subclass that computes something else has a forward of its own, and is not what its base class is.
FORWARDS = {
    kind.forward for kind in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
}
REMEDY = "strategy.skip_untreated=true leaves it out, or choose another model or a strategy without Fisher factors"


def treatable_layers(net: nn.Module, skip_untreated: bool = False) -> dict[str, Layer]:
    """The layers of `net` that hold parameters, by name.

    UsageError names a layer that has no Fisher block, unless `skip_untreated` leaves it out, or says that none is left;
    and, whatever is left out, a BatchNorm that mixes examples even in evaluation mode.
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
            reason = f"holds {', '.join(own)} in place of a weight and a bias"
        elif any(owners[parameter] > 1 for parameter in own.values()):
            reason = "shares a parameter with another layer"
        else:
            layers[name] = module
            continue
        if not skip_untreated:
            raise untreated(name, reason)
    return some(layers)


def some(layers: dict[str, Layer]) -> dict[str, Layer]:
    """`layers`; UsageError where there is none."""
    if not layers:
        raise UsageError("no layer of this net has a Fisher block; choose another model, or another strategy")
    return layers


def untreated(name: str, reason: str) -> UsageError:
    """The error that names a layer without a Fisher block."""
    return UsageError(f"Fisher factors: layer {name!r} {reason}; {REMEDY}")


def mixes_examples(name: str) -> UsageError:
    """The error that names a BatchNorm by whose use no example has a gradient of its own."""
    return UsageError(
        f"Fisher factors: layer {name!r} normalises by the batch it sees, so no example has a gradient of its own; "
        "put it into evaluation mode, with track_running_stats=True"
    )


def is_layer(module: nn.Module) -> TypeGuard[Layer]:
    """Whether a module computes what its class is known for."""
    return isinstance(module, Layer) and type(module).forward in FORWARDS


def block_names(name: str, layer: Layer) -> list[str]:
    """The names of a layer's blocks: its own, or one for each group of a grouped convolution."""
    groups = layer.groups if isinstance(layer, Convolution) else 1
    return [name] if groups == 1 else [f"{name}[{group}]" for group in range(groups)]


def layers_of(net: nn.Module, blocks: set[str]) -> dict[str, Layer]:
    """The layers of `net` that have one of `blocks`; UsageError names a block that none has."""
    layers = treatable_layers(net, skip_untreated=True)
    unknown = blocks.difference(block for name, layer in layers.items() for block in block_names(name, layer))
    if unknown:
        raise UsageError(f"this net has no block {min(unknown)!r}; give the factors of this very net")
    return {name: layer for name, layer in layers.items() if blocks.intersection(block_names(name, layer))}


def _one_line(module: nn.Module) -> str:
    text = repr(module)
    return type(module).__name__ if "\n" in text else text
