"""Checks the outputs of a net before any training.

N examples, Y classes.
"""

import logging

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from al_runner.errors import UsageError

log = logging.getLogger(__name__)


def require_outputs(net: nn.Module, images: Tensor, classes: int, name: str) -> None:
    """Raises UsageError unless the net gives logits [N, Y] in training and evaluation mode, also for a single image.

    The logits must be finite, of single or double precision, and must depend on a weight that can be trained. `images`
    are two or more, [N, C, H, W], and Y is `classes`. Logs a warning if the net gives probabilities, because the loss
    takes the softmax itself. The net is left in evaluation mode.
    """
    wanted = f"a tensor of logits [n, {classes}] is needed, with a row for each image"
    lazy = [name for name, value in [*net.named_parameters(), *net.named_buffers()] if is_lazy(value)]
    if lazy:
        layers = ", ".join(dict.fromkeys(name.rpartition(".")[0].removeprefix("net.") for name in lazy))
        raise UsageError(
            f"model={name}: lazy layers ({layers}) have no weights yet; give them their sizes, from image_shape and "
            f"classes. {wanted[0].upper()}{wanted[1:]}"
        )
    require_registered(net, name)
    for training, few in ((True, images), (False, images[:1]), (False, images)):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # because dropout draws from torch's own generator
            out = net.train(training)(few)
        fits = isinstance(out, Tensor) and out.shape == (len(few), classes) and out.is_floating_point()
        if not fits:
            mode = "training" if training else "evaluation"
            raise UsageError(
                f"model={name}: {wanted}, and this net gives {described(out)} for {len(few)} image"
                f"{'s' if len(few) > 1 else ''} in {mode} mode"
            )
        if out.dtype.itemsize < torch.float32.itemsize:
            raise UsageError(
                f"model={name}: its logits are {out.dtype}, too rough for probabilities; give logits.float()"
            )
        if not bool(out.isfinite().all()):
            raise UsageError(f"model={name} gives NaN or infinite logits before training; look at its first weights")
    # Only now with gradients: with them, a net that gives no tensor of logits may fail with a less clear error.
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        # In inference mode, where a caller only predicts, no output has a gradient.
        trained = torch.is_inference_mode_enabled() or net.train()(images).requires_grad
    net.eval()
    if not trained:
        raise UsageError(
            f"model={name}: no weight can be trained; let a weight have requires_grad, and detach no tensor on the way "
            "to the logits"
        )
    if are_probabilities(out):
        log.warning(
            "model=%s gives probabilities, but the loss takes the softmax of a net's outputs itself; "
            "remove the softmax at the end of the net, or it learns slowly",
            name,
        )


def require_registered(net: nn.Module, name: str) -> None:
    """Raises UsageError if a module keeps weights that can be trained where its `parameters()` does not see them."""
    known = {id(weight) for weight in net.parameters()}
    for module in net.modules():
        for key, value in vars(module).items():
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
            weights = [weight for part in parts if isinstance(part, nn.Module) for weight in part.parameters()]
            weights += [part for part in parts if isinstance(part, nn.Parameter)]
            if key[:1] != "_" and any(weight.requires_grad and id(weight) not in known for weight in weights):
                raise UsageError(
                    f"model={name}: {key} is a {type(value).__name__}, so its layers would not be trained or saved; "
                    "keep layers in an nn.ModuleList or nn.ModuleDict, and weights in an nn.ParameterList"
                )


def are_probabilities(out: Tensor) -> bool:
    """Whether the outputs of a net, [N, Y], are probabilities: no number below 0, and each row's sum is 1."""
    return bool((out >= 0).all()) and torch.allclose(out.sum(1), torch.ones_like(out[:, 0]), atol=1e-4)


def described(out: object) -> str:
    """The type and shape of a net's output in words; of a dict, tuple or list also those of its parts."""
    if isinstance(out, Tensor):
        kind = "" if out.is_floating_point() else f"{str(out.dtype).removeprefix('torch.')} "
        return f"a tensor {kind}{[*out.shape]}"
    if isinstance(out, dict):
        return f"a dict ({', '.join(f'{key}: {_short(value)}' for key, value in out.items())})"
    if isinstance(out, tuple | list):
        return f"a {type(out).__name__} ({', '.join(map(_short, out))})"
    return type(out).__name__


def _short(out: object) -> str:
    return str([*out.shape]) if isinstance(out, Tensor) else type(out).__name__
