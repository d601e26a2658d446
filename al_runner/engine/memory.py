"""How much memory a net in a stack needs, and how much a device has left."""

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from al_runner.engine.parts import initial_net, objective
from al_runner.training import Fit

# The share of the free memory that may be used. The rest is for validation, fragmentation and other programs.
USABLE = {"cuda": 0.7, "cpu": 0.4}
# Numbers for each weight: itself, its gradient, two moments, its best value so far, the value that replaces it, and,
# with a schedule, its value before the step.
COPIES = 7


def step_bytes(fit: Fit) -> int:
    """Bytes that one more net in the stack needs for its weights and one step's activations, without its images.

    They are those of a whole minibatch, also if there are fewer examples yet: the answer is used in later rounds, too.
    """
    net = initial_net(fit)
    weights = list(net.parameters())
    weight_pointers = {weight.data_ptr() for weight in weights}
    saved: dict[int, int] = {}

    def record(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.nbytes
        return tensor

    count = len(fit.data.y)
    rows = torch.arange(max(fit.recipe.batch_size, *fit.recipe.minibatch_sizes(count))) % count
    with saved_tensors_hooks(record, lambda tensor: tensor):
        objective(fit, net(fit.data.x[rows]), fit.data.y[rows], weights)
    activations = sum(size for pointer, size in saved.items() if pointer not in weight_pointers)
    return COPIES * sum(weight.nbytes for weight in weights) + 2 * activations


def free_bytes(device: torch.device) -> int:
    """Bytes of the device's memory that may be used now."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(USABLE["cuda"] * (torch.cuda.mem_get_info(device)[0] + cached))
    return int(USABLE["cpu"] * psutil.virtual_memory().available)
