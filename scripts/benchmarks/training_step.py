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
from dataloader import Images, PillowImages, give, plain_net, steps
from paired import paired, start

from al_runner.engine.one_by_one import step
from al_runner.engine.parts import initial_net, orders
from al_runner.models.ducoffe2017 import cnn
from al_runner.models.inputs import net_builder
from al_runner.rng import Streams
from al_runner.training import Fit, Recipe
from al_runner.types import DataSet, TrainData

STEPS = 100
SETTINGS = {"MNIST, 64": (28, 64, (True, True), (200, 200, 50)), "USPS, 8": (16, 8, (False, True), (300, 50))}


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
    start_net = initial_net(fit)

    def ours() -> list[float]:
        net = initial_net(fit)
        optimizer = recipe.optimizer(net.parameters())
        batches = islice(orders(len(y), recipe, fit.streams("order")), STEPS)
        return torch.stack([step(net, optimizer, x[at], y[at], fit) for at in batches]).tolist()

    def plain(dataset: Images) -> list[float]:
        net = plain_net(image, pool, hidden)
        give(start_net, net)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        batches = list(islice(orders(len(y), recipe, fit.streams("order")), STEPS))
        found: list[float] = steps(net, optimizer, dataset, batches).tolist()
        return found

    scale = x.float().mean().item() / 255, x.float().std(correction=0).item() / 255
    kinds = {"tensors": Images(x, y, *scale), "Pillow images": PillowImages(x, y, *scale)}
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
