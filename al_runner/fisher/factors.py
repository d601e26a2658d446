"""Mean Kronecker factors of a set of examples, streamed."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.fisher.capture import samples
from al_runner.fisher.layers import treatable_layers


class Factors(NamedTuple):
    """One layer's Fisher block psi (x) tau, or a pair of matrices in its place."""

    psi: Tensor  # of the inputs, float64 [i, i]
    tau: Tensor  # of the output gradients, float64 [o, o]


def mean_factors(
    net: nn.Module, batches: Iterable[tuple[Tensor, Tensor | None]], skip_untreated: bool = False
) -> dict[str, Factors]:
    """Every block's mean factors over all batches of (x, y or None for the predicted label).

    psi = mean_n sum_t a a^T and tau = mean_n (1/T) sum_t g g^T (Martens & Grosse, 2015, eq. 1; Grosse & Martens,
    2016, eq. 16). Memory is one batch's, whatever the number of batches. UsageError where there is none, and for a
    layer without a Fisher block unless `skip_untreated` leaves it out.
    """
    layers = treatable_layers(net, skip_untreated)
    sums: dict[str, Factors] = {}
    count = 0
    for x, y in batches:
        count += len(x)
        for name, (inputs, gradients) in samples(net, x, y, layers, skip_untreated):
            rows, outputs = inputs.flatten(0, 1), gradients.flatten(0, 1)
            psi, tau = (rows.T @ rows).double(), (outputs.T @ outputs).double() / gradients.shape[1]
            if name in sums:
                sums[name].psi.add_(psi)
                sums[name].tau.add_(tau)
            else:
                sums[name] = Factors(psi, tau)
    if not count:
        raise UsageError("Fisher factors of an empty set were asked for; leave at least one image in it")
    return {name: Factors(psi / count, tau / count) for name, (psi, tau) in sums.items()}


def parameter_count(factors: Mapping[str, Factors]) -> int:
    """Parameters in the blocks, the N of the free energy."""
    return sum(len(psi) * len(tau) for psi, tau in factors.values())
