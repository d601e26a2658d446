"""Mean Kronecker factors of a set of examples, streamed."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher.capture import fisher_losses, samples
from al_runner.fisher.layers import treatable_layers

NARROW = 64  # columns below which a product's halves are no faster than the whole


class Factors(NamedTuple):
    """One layer's Fisher block psi (x) tau, or a pair of matrices in its place."""

    psi: Tensor  # of the inputs, float64 [i, i]
    tau: Tensor  # of the output gradients, float64 [o, o]


class FactorSums(NamedTuple):
    """Factors summed over examples rather than averaged, so that those of separate sets can be added."""

    examples: int
    blocks: dict[str, Factors]

    def mean(self) -> dict[str, Factors]:
        """The mean factors; UsageError of an empty set, ArithmeticError where one is not finite."""
        if not self.examples:
            raise UsageError("Fisher factors of an empty set were asked for; leave at least one image in it")
        for name, factors in self.blocks.items():
            if not all(bool(side.isfinite().all()) for side in factors):
                raise ArithmeticError(f"the Fisher factors of layer {name!r} are not finite: the net computes NaN")
        return {name: Factors(psi / self.examples, tau / self.examples) for name, (psi, tau) in self.blocks.items()}


def mean_factors(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    skip_untreated: bool = False,
    expected: bool = False,
) -> dict[str, Factors]:
    """Every block's mean factors over all batches of (x, y or None for the predicted label).

    psi = mean_n sum_t a a^T and tau = mean_n (1/T) sum_t g g^T (Martens & Grosse, 2015, eq. 1; Grosse & Martens,
    2016, eq. 16). Memory is one batch's, whatever the number of batches. UsageError where there is none, and for a
    layer without a Fisher block unless `skip_untreated` leaves it out. `expected` takes the expectation over the net's
    own prediction in place of a label, at a backward pass a class: the Fisher matrix proper, where a single label gives
    the empirical one (Kunstner et al., 2019).
    """
    return factor_sums(net, batches, skip_untreated, expected).mean()


def factor_sums(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    skip_untreated: bool = False,
    expected: bool = False,
) -> FactorSums:
    """What `mean_factors` divides by the number of examples."""
    layers = treatable_layers(net, skip_untreated)
    sums: dict[str, Factors] = {}
    count = 0
    for x, y in batches:
        count += len(x)
        for name, (inputs, gradients) in samples(net, x, fisher_losses(y, expected), layers, skip_untreated):
            rows, outputs = inputs.flatten(0, 1), gradients.flatten(0, 1)
            psi, tau = gram(rows).double(), gram(outputs).double() / gradients.shape[1]
            _add(sums, name, Factors(psi, tau))
    return FactorSums(count, sums)


def gram(rows: Tensor) -> Tensor:
    """A' A for A [rows, d], what lies below the diagonal blocks copied from above: half the operations for a wide A."""
    d = rows.shape[1]
    if d < NARROW:
        return rows.T @ rows
    left, right = rows[:, : d // 2], rows[:, d // 2 :]
    above = left.T @ right
    return torch.cat([torch.cat([gram(left), above], 1), torch.cat([above.T, gram(right)], 1)])


def added(parts: Iterable[FactorSums]) -> FactorSums:
    """The sums over several sets of examples together."""
    total, count = dict[str, Factors](), 0
    for examples, blocks in parts:
        count += examples
        for name, factors in blocks.items():
            _add(total, name, Factors(factors.psi.clone(), factors.tau.clone()))
    return FactorSums(count, total)


def _add(sums: dict[str, Factors], name: str, factors: Factors) -> None:
    """Add in place to what is there under `name`, or put `factors` there."""
    if name in sums:
        sums[name].psi.add_(factors.psi)
        sums[name].tau.add_(factors.tau)
    else:
        sums[name] = factors


def parameter_count(factors: Mapping[str, Factors]) -> int:
    """Parameters in the blocks, the N of the free energy."""
    return sum(len(psi) * len(tau) for psi, tau in factors.values())
