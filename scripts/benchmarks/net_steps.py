"""Net-steps a second: one by one with a DataLoader, one by one with resident data, and stacked at 1, 10 and 40 nets.

The stacks have grouped convolutions, which torch.vmap makes of them, and, in rows of their own, batched products.

Equal results first: the losses of the first 20 steps of every way agree (rtol 1e-3; float32 rounding, which differs
with the memory layout, grows from there). Every way is timed in turn, again and again, in one process. The floor is the
step's floating-point operations at the device's own rate for a large matrix product. On a GPU the stacked ways are CUDA
graphs, and "resident" is an eager loop.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from itertools import islice
from statistics import median
from time import perf_counter

import torch
from dataloader import PillowImages, give, plain_net, steps
from im2col import as_products
from paired import device_name, gemm
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from al_runner.engine.one_by_one import step
from al_runner.engine.parts import initial_net, optimizer_for, orders
from al_runner.engine.stack import Stack
from al_runner.models.ducoffe2017 import cnn
from al_runner.models.inputs import NetBuilder
from al_runner.rng import Streams
from al_runner.training import Fit, Recipe
from al_runner.types import TrainData

NETS = {"USPS, 8": (16, 8, (False, True), (300, 50)), "MNIST, 64": (28, 64, (True, True), (200, 200, 50))}
STACKS = (1, 10, 40)
MEAN, STD = 0.5, 0.29  # of images of random pixels in [0, 1]
Way = Callable[[int], object]  # a number of steps -> losses, [steps] of the first net


def fits(image: int, batch: int, pool: tuple[bool, ...], hidden: tuple[int, ...], device: torch.device) -> list[Fit]:
    """Forty nets, each on 1,000 random images of its own."""
    rng = torch.Generator().manual_seed(0)
    build = NetBuilder(
        partial(cnn, pool=pool, hidden=hidden),
        (1, image, image),
        10,
        torch.tensor([255 * MEAN]),
        torch.tensor([255 * STD]),
    )
    adam = partial(torch.optim.Adam, lr=1e-3, fused=True)
    recipe = Recipe(adam, batch_size=batch, check_every=100)
    found = []
    for seed in range(max(STACKS)):
        x = torch.randint(256, (1000, 1, image, image), generator=rng, dtype=torch.uint8).to(device)
        y = torch.randint(10, (1000,), generator=rng).to(device)
        found.append(Fit(build, recipe, TrainData(x, y, x[:8], y[:8]), Streams(seed, 0)))
    return found


def order_of(fit: Fit, count: int) -> list[Tensor]:
    return list(islice(orders(len(fit.data.y), fit.recipe, fit.streams("order")), count))


def resident(fit: Fit) -> Way:
    """The one-by-one engine."""
    net = initial_net(fit)
    optimizer = optimizer_for(fit.recipe, net.parameters())
    device = fit.data.x.device

    def run(count: int) -> Tensor:
        batches = [ids.to(device) for ids in order_of(fit, count)]
        return torch.stack([step(net, optimizer, fit.data.x[at], fit.data.y[at], fit) for at in batches])

    return run


def stacked(some: list[Fit]) -> Way:
    """The stacked engine."""
    stack = Stack(some)

    def run(count: int) -> Tensor:
        blocks = [order_of(fit, count) for fit in some]
        return stack.train(torch.stack([torch.cat(b) for b in blocks]), [len(ids) for ids in blocks[0]])[:, 0].clone()

    return run


def unfolded(fit: Fit) -> Fit:
    """The same fit of a net whose convolutions are products of matrices."""
    return fit._replace(build=lambda: as_products(fit.build()))


def seconds(way: Way, count: int, device: torch.device) -> float:
    start = perf_counter()
    way(count)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start


def floor(fit: Fit, device: torch.device) -> float:
    """Seconds that a step's products take at the rate of a large one."""
    work, operations = gemm(4096 if device.type == "cuda" else 2048, device)
    work()
    rate = operations / min(seconds(lambda _: work(), 1, device) for _ in range(10))
    with FlopCounterMode(display=False) as counter:
        resident(fit)(1)
    return float(counter.get_total_flops() / rate)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which every way is timed once")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {device_name(device)}, {arguments.repeats} rounds; medians")
    print(f"{'':<40} {'net-steps/s':>12} {'x DataLoader':>13} {'x resident':>11} {'x its floor':>12}")
    for name, settings in NETS.items():
        table(name, settings, device, arguments.repeats)
    if device.type != "cuda":
        print("on a GPU: not measured, there is none here")


def table(
    name: str, settings: tuple[int, int, tuple[bool, ...], tuple[int, ...]], device: torch.device, repeats: int
) -> None:
    """Check and time every way of one net, and print its rows."""
    image, batch, pool, hidden = settings
    some = fits(image, batch, pool, hidden, device)
    first = some[0]
    ways: dict[str, tuple[int, Way]] = {
        "DataLoader, Pillow images": (1, loader(first, plain_net(image, pool, hidden))),
        "resident": (1, resident(first)),
        **{f"stack of {count}": (count, stacked(some[:count])) for count in STACKS},
        **{f"stack of {count}, as products": (count, stacked([*map(unfolded, some[:count])])) for count in STACKS},
    }
    losses = {kind: torch.as_tensor(way(20)).cpu() for kind, (_, way) in ways.items()}
    for kind, first_losses in losses.items():
        if not torch.allclose(first_losses, losses["resident"], rtol=1e-3, atol=0):
            raise SystemExit(f"{name}, {kind}: other losses than one by one, {first_losses} for {losses['resident']}")

    def steps_of(count: int) -> int:
        """On a GPU a whole check; on a CPU, where a stack takes its nets' time together, fewer."""
        return 100 if device.type == "cuda" else max(5, 100 // count)

    for count, way in ways.values():
        seconds(way, steps_of(count), device)

    times: dict[str, list[float]] = {kind: [] for kind in ways}
    for _ in range(repeats):
        for kind, (count, way) in ways.items():
            times[kind].append(seconds(way, steps_of(count), device) / steps_of(count) / count)
    least = floor(first, device)
    for kind, found in times.items():
        ratios = [
            median([a / b for a, b in zip(times[base], found, strict=True)])
            for base in ("DataLoader, Pillow images", "resident")
        ]
        print(
            f"{name + ', ' + kind:<40} {1 / median(found):12.0f} {ratios[0]:13.2f} {ratios[1]:11.2f}"
            f" {median(found) / least:12.1f}"
        )


def loader(fit: Fit, net: torch.nn.Sequential) -> Way:
    """The commonly written loop, from the same weights and in the same order."""
    net.to(fit.data.x.device)
    give(initial_net(fit), net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    images = PillowImages(fit.data.x, fit.data.y, MEAN, STD)
    return lambda count: steps(net, optimizer, images, order_of(fit, count))


if __name__ == "__main__":
    main()
