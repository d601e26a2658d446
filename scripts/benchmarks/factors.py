"""Mean Kronecker factors of 2,048 random images on the MNIST net of Ducoffe & Precioso (2017), on one CPU thread.

Ours (B) against curvlinops' KFAC with expanded positions, empirical and type-2 (A; goal: 1.3 times as fast), and
against BackPACK's KFAC of one drawn label and its KFLR (A; goal: 1.8 times). Ours takes curvlinops' given labels, the
labels that BackPACK draws, or the exact expectation. Everyone runs at the fastest of the same settings. Last, ours (A)
against its arithmetic floor (B): the operations of the forward and the backward passes and of the full products psi and
tau, at the rate of this machine's float32 matrix product.

Equal results first: psi (x) tau of every layer. BackPACK has no such convolution: its second factor is of the gradients
summed over the positions, where ours and curvlinops' is the sum over the positions of the gradients' products. That
factor is held against our gradients, summed so. Its biases are blocks of their own; frozen here, since their factor is
the weights' tau, which would only be worked out twice.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from backpack import backpack, extend
from backpack.extensions import KFAC, KFLR
from curvlinops import KFACLinearOperator
from paired import Paired, gemm, paired, start
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.utils.flop_counter import FlopCounterMode

from al_runner.fisher import Factors, capture, mean_factors
from al_runner.models.ducoffe2017 import cnn, initialise
from al_runner.models.inputs import net_builder
from al_runner.rng import global_stream, stream
from al_runner.types import DataSet

IMAGES, CLASSES = 2048, 10
BATCHES = (32, 64, 128, 256)
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
TOLERANCE = 1e-4  # of a factor's norm; float32 sums of a million terms differ in their order
Blocks = dict[str, Factors]
Way = Callable[[], object]


class Work(NamedTuple):
    """What all are given."""

    net: nn.Module
    x: Tensor  # uint8
    y: Tensor
    batch: int

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.x.split(self.batch), self.y.split(self.batch), strict=True)


def ours(work: Work, expected: bool) -> Blocks:
    return mean_factors(work.net, work.batches(), expected=expected)


def by_curvlinops(work: Work, expected: bool) -> Blocks:
    """With all that it would otherwise find out by further passes over the data given, and its self-test off."""
    operator = KFACLinearOperator(
        work.net,
        nn.CrossEntropyLoss(),
        list(work.net.parameters()),
        list(work.batches()),
        check_deterministic=False,
        fisher_type="type-2" if expected else "empirical",
        kfac_approx="expand",
        num_per_example_loss_terms=1,
        separate_weight_and_bias=False,
        num_data=IMAGES,
    )
    operator.compute_kronecker_factors()
    psi, tau = operator._input_covariances, operator._gradient_covariances
    return {name: Factors(psi[name], tau[name]) for name in psi}


class ByBackpack:
    """A net made ready once, as its extensions stay on it."""

    def __init__(self, net: nn.Module):
        self.input, self.net = net.get_submodule("input"), extend(deepcopy(net.get_submodule("net")))
        self.loss = extend(nn.CrossEntropyLoss())
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name.endswith("weight"))

    def __call__(self, work: Work, expected: bool) -> Blocks:
        extension: Any = KFLR() if expected else KFAC()
        sums: dict[str, list[Tensor]] = {}
        for x, y in work.batches():
            with backpack(extension):
                self.loss(self.net(self.input(x)), y).backward()
            for name, layer in self.net.named_children():
                if hasattr(layer, "weight"):
                    found = [factor * (len(x) / IMAGES) for factor in getattr(layer.weight, extension.savefield)]
                    sums[name] = [a + b for a, b in zip(sums[name], found, strict=True)] if name in sums else found
        return {f"net.{name}": Factors(psi, tau) for name, (tau, psi) in sums.items()}


def drawn(work: Work) -> Tensor:
    """The labels that BackPACK draws from the same seed."""
    with torch.no_grad():
        return torch.cat([Categorical(work.net(x).softmax(1)).sample((1,))[0] for x, _ in work.batches()])


def inputs_in_our_order(net: nn.Module, blocks: Blocks) -> Blocks:
    """A patch as [kernel, c] rather than [c, kernel]; the bias, where there is one, stays last."""
    found = {}
    for name, (psi, tau) in blocks.items():
        weight = net.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        size = weight[0].numel()
        order = torch.arange(size).view(weight.shape[1:]).movedim(0, -1).flatten()
        order = torch.cat([order, torch.arange(size, len(psi))])
        found[name] = Factors(psi[order][:, order], tau)
    return found


def summed_over_positions(work: Work, blocks: Blocks, expected: bool) -> Blocks:
    """Our blocks without the bias, tau of the gradients summed over the positions: BackPACK's."""
    with torch.no_grad():
        p = work.net(work.x).softmax(1) if expected else nn.functional.one_hot(work.y, CLASSES)
    tau = {name: torch.zeros_like(block.tau) for name, block in blocks.items()}
    for c in range(CLASSES):
        for part in torch.arange(IMAGES).split(128):
            for name, (_, gradients) in capture(work.net, work.x[part], torch.full_like(part, c)).items():
                rows = gradients.sum(1).double()
                tau[name] += (rows * p[part, c, None]).T @ rows / IMAGES
    return {name: Factors(psi[:-1, :-1], tau[name]) for name, (psi, _) in blocks.items()}


def require_equal(label: str, found: Blocks, wanted: Blocks) -> None:
    """SystemExit unless every psi (x) tau agrees; a Kronecker product determines its factors but for their scale."""
    if found.keys() != wanted.keys():
        raise SystemExit(f"{label}: layers {sorted(found)}, not {sorted(wanted)}")
    for name, block in found.items():
        mine, theirs = wanted[name], Factors(*(factor.double() for factor in block))
        scale = mine.psi.trace() / theirs.psi.trace()
        pairs = (theirs.psi * scale, mine.psi), (theirs.tau / scale, mine.tau)
        error = max(float((a - b).norm() / b.norm()) for a, b in pairs)
        if not error < TOLERANCE:
            raise SystemExit(f"{label}: the Kronecker product of layer {name} differs by {error:.1e} from ours")


def check(work: Work) -> None:
    """All against ours."""
    torch.manual_seed(0)
    labelled = {False: work._replace(y=drawn(work)), True: work}
    for expected in (False, True):
        theirs = inputs_in_our_order(work.net, by_curvlinops(work, expected))
        require_equal("curvlinops", theirs, ours(work, expected))
        torch.manual_seed(0)
        theirs = inputs_in_our_order(work.net, ByBackpack(work.net)(work, expected))
        mine = labelled[expected]
        require_equal("BackPACK", theirs, summed_over_positions(mine, ours(mine, expected), expected))


def operations(work: Work, expected: bool) -> float:
    """Floating-point operations: passes, the backward ones down to the first layer's output, and full products."""
    n = 128
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        work.net(work.x[:n])
    with FlopCounterMode(display=False) as both:
        found = capture(work.net, work.x[:n], work.y[:n])
    forwards, passes = forward.get_total_flops(), CLASSES if expected else 1
    total = forwards + passes * (both.get_total_flops() - forwards)
    for inputs, gradients in found.values():
        total += 2 * inputs.numel() * inputs.shape[2] + passes * 2 * gradients.numel() * gradients.shape[2]
    return float(total * IMAGES / n)


def fastest(name: str, ways: Mapping[str, Way]) -> Way:
    """The way of the least time of two."""
    seconds = {settings: min(paired(way, lambda: None, 2).a) for settings, way in ways.items()}
    settings = min(seconds, key=seconds.__getitem__)
    print(f"{name + ':':<34} {settings}", flush=True)
    return ways[settings]


def setting() -> tuple[nn.Module, Tensor, Tensor]:
    """A net whose logits spread like a trained one's, so that classes differ in weight; images; labels."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(256, (IMAGES, 1, 28, 28), generator=rng, dtype=torch.uint8)
    y = torch.randint(CLASSES, (IMAGES,), generator=rng)
    ids = torch.arange(IMAGES)
    data = DataSet(x, y, ids, ids[:1], ids[:1], tuple("0123456789"))
    with global_stream(stream(0, "init")), torch.no_grad():
        net = net_builder(data, partial(cnn, pool=(True, True), hidden=(200, 200, 50)))().eval()
        initialise(net)
        net.get_parameter("net.13.weight").mul_(3 / net(x[:256]).std())
    return net, x, y


def main() -> None:
    repeats = start(__doc__, "A", "B")
    net, x, y = setting()
    check(Work(net, x, y, BATCHES[-1]))
    works = {
        f"{layout}, batches of {batch}": Work(deepcopy(net).to(memory_format=memory_format), x, y, batch)  # type: ignore[call-overload]
        for (layout, memory_format), batch in product(LAYOUTS.items(), BATCHES)
    }
    sgemm, of_sgemm = gemm()
    for kind, expected, theirs in (("empirical", False, "BackPACK 1 draw"), ("exact", True, "BackPACK KFLR")):
        way = fastest(f"{kind}: ours", {at: partial(ours, work, expected) for at, work in works.items()})
        others = {at: partial(by_curvlinops, work, expected) for at, work in works.items()}
        curvlinops = fastest(f"{kind}: curvlinops", others)
        others = {at: partial(ByBackpack(work.net), work, expected) for at, work in works.items()}
        packed = fastest(f"{kind}: {theirs}", others)
        print(paired(curvlinops, way, repeats).line(f"{kind}: curvlinops A, ours B", "1.3"))
        print(paired(packed, way, repeats).line(f"{kind}: {theirs} A, ours B", "1.8"))
        times, factor = paired(way, sgemm, repeats), operations(works[next(iter(works))], expected) / of_sgemm
        print(Paired(times.a, [factor * seconds for seconds in times.b]).line(f"{kind}: ours A, floor B", "-"))


if __name__ == "__main__":
    main()
