"""How many nets fit into a device's memory at once."""

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from al_runner.engine.parts import initial_net, objective
from al_runner.types import Fit

# The rest is for validation, fragmentation and whoever else works there.
USABLE = {"cuda": 0.7, "cpu": 0.4}
# Of every weight: itself, its gradient, two moments, the best so far, the one that is replacing it, and, with a
# schedule, that before the step.
COPIES = 7


def step_bytes(fit: Fit) -> int:
    """What one more net in the stack takes beside its training images: weights, and one step's activations."""
    net = initial_net(fit)
    weights = list(net.parameters())
    held = {weight.data_ptr() for weight in weights}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    rows = slice(fit.recipe.batch_size)
    with saved_tensors_hooks(note, lambda tensor: tensor):
        objective(fit, net(fit.data.x[rows]), fit.data.y[rows], weights)
    activations = sum(size for place, size in kept.items() if place not in held)
    return COPIES * sum(weight.nbytes for weight in weights) + 2 * activations


def free_bytes(device: torch.device) -> int:
    """What may be taken now of the device's memory."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(USABLE["cuda"] * (torch.cuda.mem_get_info(device)[0] + cached))
    return int(USABLE["cpu"] * psutil.virtual_memory().available)
