"""100 training steps of ours (B) against a plain Dataset + DataLoader loop of the same net (A), on one CPU thread.

A in two ways: images as tensors, and as torchvision's data sets hand them out (a Pillow image through ToTensor and
Normalize). Equal results first: from the same weights, in the same minibatch order, all must give the same first 20
losses (later on float32 rounding, which differs with the memory layout, has grown through Adam's square roots).
Goals: 2.5 times as fast on MNIST with minibatches of 64, 2 times on USPS with 8.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice

import torch
from paired import paired, start
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from al_runner.data.vision import torchvision_datasets
from al_runner.engine.one_by_one import step
from al_runner.engine.parts import initial_net, orders
from al_runner.models.ducoffe2017 import cnn
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.types import DataSet, Fit, Recipe, TrainData

STEPS = 100
SETTINGS = {"MNIST, 64": (28, 64, (True, True), (200, 200, 50)), "USPS, 8": (16, 8, (False, True), (300, 50))}


class Images(Dataset[tuple[Tensor, int]]):
    """Images as tensors, scaled to [0, 1] and standardised one at a time."""

    def __init__(self, x: Tensor, y: Tensor):
        self.x, self.y = x, y
        self.mean, self.std = x.float().mean() / 255, x.float().std(correction=0) / 255

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return (self.x[index].float() / 255 - self.mean) / self.std, int(self.y[index])


class PillowImages(Images):
    """Images as torchvision's data sets hand them out, by its usual transforms."""

    def __init__(self, x: Tensor, y: Tensor):
        super().__init__(x, y)
        torchvision_datasets()  # makes torchvision importable beside a CPU-only torch
        from torchvision.transforms import Compose, Normalize, ToTensor  # noqa: PLC0415

        self.transform = Compose([ToTensor(), Normalize((self.mean.item(),), (self.std.item(),))])

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.x[index, 0].numpy())), int(self.y[index])


def plain_net(image: int, pool: tuple[bool, ...], hidden: tuple[int, ...]) -> nn.Sequential:
    """The paper's net in its own order: convolution, ReLU, pool."""
    layers: list[nn.Module] = []
    for place, pooled in enumerate(pool):
        layers += [nn.Conv2d(1 if place == 0 else 20, 20, 3), nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
        image = (image - 2) // (2 if pooled else 1)
    sizes = [20 * image**2, *hidden]
    dense = [layer for i, width in enumerate(hidden) for layer in (nn.Linear(sizes[i], width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(sizes[-1], 10))


def plain_steps(
    net: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader[tuple[Tensor, int]]
) -> list[float]:
    losses: list[Tensor] = []
    while len(losses) < STEPS:
        for x, y in islice(loader, STEPS - len(losses)):
            optimizer.zero_grad()
            loss = cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    return torch.stack(losses).tolist()


Work = Callable[[], list[float]]


def work(image: int, batch: int, pool: tuple[bool, ...], hidden: tuple[int, ...]) -> tuple[dict[str, Work], Work]:
    """A by the kind of its images, and B, each starting anew from the same weights."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(256, (2000, 1, image, image), generator=rng, dtype=torch.uint8)
    y = torch.randint(10, (2000,), generator=rng)
    ids = torch.arange(2000)
    data = DataSet(x, y, ids, ids[:8], ids[:8], tuple("0123456789"))
    recipe = Recipe(partial(torch.optim.Adam, lr=1e-3, fused=True), batch_size=batch)
    fit = Fit(net_builder(data, partial(cnn, pool=pool, hidden=hidden)), recipe, TrainData(x, y, x, y), Streams(0, 0))
    weights = [p.detach().clone() for p in initial_net(fit).parameters()]

    def ours() -> list[float]:
        net = initial_net(fit)
        optimizer = recipe.optimizer(net.parameters())
        batches = islice(orders(len(y), recipe, fit.streams("order")), STEPS)
        return torch.stack([step(net, optimizer, x[at], y[at], recipe) for at in batches]).tolist()

    def plain(dataset: Images) -> list[float]:
        net = plain_net(image, pool, hidden)
        for parameter, value in zip(net.parameters(), weights, strict=True):
            parameter.data.copy_(value)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        batches = list(islice(orders(len(y), recipe, fit.streams("order")), STEPS))
        sampler = [at.tolist() for at in batches]
        return plain_steps(net, optimizer, DataLoader(dataset, batch_sampler=sampler))

    kinds = {"tensors": Images(x, y), "Pillow images": PillowImages(x, y)}
    return {kind: partial(plain, dataset) for kind, dataset in kinds.items()}, ours


def main() -> None:
    repeats = start(__doc__, "DataLoader", "ours")
    for name, settings in SETTINGS.items():
        plain, ours = work(*settings)
        for kind, loop in plain.items():
            torch.testing.assert_close(torch.tensor(ours()[:20]), torch.tensor(loop()[:20]), rtol=1e-3, atol=0)
            print(paired(loop, ours, repeats).line(f"{name}, {kind}", "2.5" if "MNIST" in name else "2"))


if __name__ == "__main__":
    main()
