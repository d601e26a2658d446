"""Mean Kronecker factors of a set of examples, summed batch by batch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher.capture import captured_layers, fisher_losses
from al_runner.fisher.correlations import correlates, patch_products
from al_runner.fisher.layers import Layer, block_names, treatable_layers
from al_runner.fisher.rows import block_samples, output_rows

NARROW = 64  # for fewer columns, computing only half of a symmetric product saves no time


class Factors(NamedTuple):
    """The factors of one Fisher block psi (x) tau, or another pair of matrices of the same sizes."""

    psi: Tensor  # of the inputs, float64 [i, i]
    tau: Tensor  # of the output gradients, float64 [o, o]


class FactorSums(NamedTuple):
    """Factors summed over examples, not averaged, so that the sums of separate sets can be added."""

    examples: int
    blocks: dict[str, Factors]

    def mean(self) -> dict[str, Factors]:
        """The mean factors; raises UsageError for an empty set, and ArithmeticError if a number is not finite."""
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
    """The mean factors of every block over all batches (x, y); if y is None, the net's prediction is the label.

    psi = mean_n sum_t a a^T and tau = mean_n (1/T) sum_t g g^T, with T positions (Martens & Grosse, 2015, eq. 1;
    Grosse & Martens, 2016, eq. 16). The memory does not grow with the number of batches. With `expected`, the labels
    are not used: the expectation over the net's own prediction gives the Fisher matrix itself, with a backward pass for
    each class. One label for each example gives the empirical one (Kunstner et al., 2019). Raises UsageError if there
    are no examples, or if a layer has no Fisher block; with `skip_untreated` such a layer is left out.
    """
    return factor_sums(net, batches, skip_untreated, expected).mean()


def factor_sums(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    skip_untreated: bool = False,
    expected: bool = False,
) -> FactorSums:
    """The sums that `mean_factors` divides by the number of examples; raises UsageError as it does for a layer."""
    layers = treatable_layers(net, skip_untreated)
    sums: dict[str, Factors] = {}
    count = 0
    for x, y in batches:
        count += len(x)
        for used in captured_layers(net, x, fisher_losses(y, expected), layers, skip_untreated):
            for name, factors in _block_sums(*used):
                _add(sums, name, factors)
    return FactorSums(count, sums)


def _block_sums(name: str, layer: Layer, before: Tensor, gradients: Sequence[Tensor]) -> Iterator[tuple[str, Factors]]:
    """The factors of each block of a layer, summed over the examples; a block may come in several parts."""
    if correlates(layer, before, gradients[0].shape):
        chunks = zip(*(side.chunk(layer.groups, 1) for side in (before, *gradients)), strict=True)
        for block, (x, *own) in zip(block_names(name, layer), chunks, strict=True):
            yield block, Factors(patch_products(layer, x), _mean_gram(output_rows(layer, own)))
    else:
        for block, (inputs, outputs) in block_samples(name, layer, before, gradients):
            yield block, Factors(gram(inputs.flatten(0, 1)).double(), _mean_gram(outputs))


def _mean_gram(outputs: Tensor) -> Tensor:
    """sum_n mean_t g g' of gradients [n, t, o]."""
    return gram(outputs.flatten(0, 1)).double() / outputs.shape[1]


def gram(rows: Tensor) -> Tensor:
    """A' A for A [rows, d]. What lies below the diagonal is copied from above; this halves the work for a wide A."""
    d = rows.shape[1]
    if d < NARROW:
        return rows.T @ rows
    left, right = rows[:, : d // 2], rows[:, d // 2 :]
    above = left.T @ right
    return torch.cat([torch.cat([gram(left), above], 1), torch.cat([above.T, gram(right)], 1)])


def added(parts: Iterable[FactorSums]) -> FactorSums:
    """The sums over all examples of several sets."""
    total, count = dict[str, Factors](), 0
    for examples, blocks in parts:
        count += examples
        for name, factors in blocks.items():
            _add(total, name, Factors(factors.psi.clone(), factors.tau.clone()))
    return FactorSums(count, total)


def _add(sums: dict[str, Factors], name: str, factors: Factors) -> None:
    """Add `factors` in place to those under `name`, or store them if there are none."""
    if name in sums:
        sums[name].psi.add_(factors.psi)
        sums[name].tau.add_(factors.tau)
    else:
        sums[name] = factors


def parameter_count(factors: Mapping[str, Factors]) -> int:
    """The number of parameters in all blocks, the N of the free energy."""
    return sum(len(psi) * len(tau) for psi, tau in factors.values())
