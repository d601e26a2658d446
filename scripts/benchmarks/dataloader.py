"""The loop that is commonly written: a Dataset, a DataLoader, one net, one step after another."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import islice
from time import perf_counter

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from al_runner.engine.parts import initial_net, orders
from al_runner.engine.stopping import Patience
from al_runner.system.torchvision import torchvision_datasets
from al_runner.training import Fit, Trained


class Images(Dataset[tuple[Tensor, int]]):
    """Grey images as tensors, uint8 [N, 1, H, W], scaled to [0, 1] and standardised one at a time."""

    def __init__(self, x: Tensor, y: Tensor, mean: float, std: float):
        self.x, self.y, self.mean, self.std = x.cpu(), y.cpu(), mean, std

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return (self.x[index].float() / 255 - self.mean) / self.std, int(self.y[index])


class PillowImages(Images):
    """Images as torchvision's data sets hand them out, by its usual transforms."""

    def __init__(self, x: Tensor, y: Tensor, mean: float, std: float):
        super().__init__(x, y, mean, std)
        torchvision_datasets()  # makes torchvision importable beside a CPU-only torch
        from torchvision.transforms import Compose, Normalize, ToTensor  # noqa: PLC0415

        self.transform = Compose([ToTensor(), Normalize((mean,), (std,))])

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.x[index, 0].numpy())), int(self.y[index])


def plain_net(image: int, pool: Sequence[bool], hidden: Sequence[int]) -> nn.Sequential:
    """The net of Ducoffe & Precioso (2017) in the usual order: convolution, ReLU, pool."""
    layers: list[nn.Module] = []
    for place, pooled in enumerate(pool):
        layers += [nn.Conv2d(1 if place == 0 else 20, 20, 3), nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
        image = (image - 2) // (2 if pooled else 1)
    sizes = [20 * image**2, *hidden]
    dense = [layer for i, width in enumerate(hidden) for layer in (nn.Linear(sizes[i], width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(sizes[-1], 10))


def give(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of one net to another of the same layers."""
    with torch.no_grad():
        for value, parameter in zip(source.parameters(), target.parameters(), strict=True):
            parameter.copy_(value)


def steps(net: nn.Module, optimizer: torch.optim.Optimizer, images: Images, batches: Sequence[Tensor]) -> Tensor:
    """One step for every minibatch of positions; the losses before each, [steps]."""
    losses: list[Tensor] = []
    device = next(net.parameters()).device
    for x, y in DataLoader(images, batch_sampler=[at.tolist() for at in batches]):
        optimizer.zero_grad()
        loss = cross_entropy(net(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@torch.no_grad()
def error_rate(net: nn.Module, images: Images) -> float:
    device = next(net.parameters()).device
    net.eval()
    wrong = sum(int((net(x.to(device)).argmax(1).cpu() != y).sum()) for x, y in DataLoader(images, batch_size=512))
    net.train()
    return wrong / len(images)


def train(fit: Fit, net: nn.Sequential, mean: float, std: float) -> Trained:
    """What our engines do, the common way: Adam, the same order and stopping rule, the best weights restored."""
    start, recipe, data, result = perf_counter(), fit.recipe, fit.data, initial_net(fit)
    give(result, net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    training, validation = PillowImages(data.x, data.y, mean, std), PillowImages(data.val_x, data.val_y, mean, std)
    batches, rule = orders(len(data.y), recipe, fit.streams("order")), Patience(recipe)
    per_check, taken, best = recipe.steps_per_check(len(data.y)), 0, deepcopy(net)
    while not rule.over:
        steps(net, optimizer, training, list(islice(batches, per_check)))
        taken += per_check
        if rule.record(error_rate(net, validation)):
            best = deepcopy(net)
    give(best, result)
    return Trained(result, taken, perf_counter() - start)
