"""The number that KFAC-VFE compares the query's Z1 with: the option `target`.

S the query of K images, U the unlabelled and A the m labelled images, l blocks. N_l is a block's number of parameters.
N_eff,l = tr(psi (psi + lam)^-1) tr(tau (tau + lam)^-1) is the part of N_l that damping leaves. It is the Z1 of the
pool itself. N and N_eff are the sums of N_l and N_eff,l over the blocks.

`parameters` is N, as in the paper. With this target a query matches the pool only if there is no damping: with
damping = 0.1 the pool's own Z1 is a few hundredths of N. All other targets are c N_eff.

`growing` is c = (m + K) / K. After the purchase the posterior depends on A and S together. So the Fisher matrix that
should equal the pool's is that of their union, (m I_A + K I_S) / (m + K), while eq. 19 uses I_S alone. A trained net
fits the images of A, so their gradients are close to 0. Without them the union is K I_S / (m + K). It equals I_U
if I_S = (m + K) / K I_U. Then Z1 = tr(I_U^-1 I_S) is (m + K) / K times the pool's own.
"""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.fisher import Factors

FORMS = 'a number above 0, "parameters", "growing", or a schedule such as "labels/40"'


def multiple(target: float | str, labelled: int, query: int) -> float | None:
    """c, the target in units of N_eff, for m = `labelled` images and a query of K = `query`; None means the target N.

    A number is c itself, `growing` is (m + K) / K, and `labels/40` is the larger of 1 and m / 40. Raises UsageError
    for anything else.
    """
    if target == "parameters":
        return None
    if target == "growing":
        return (labelled + query) / query
    if grows(target):
        return max(1.0, labelled / _positive(str(target).removeprefix("labels/"), target))
    return _positive(target, target)


def grows(target: float | str) -> bool:
    """Whether the target depends on how many images are labelled."""
    return target == "growing" or str(target).startswith("labels/")


@dataclass(frozen=True)
class Sizes:
    """The numbers from which targets are computed, float64 [l] each."""

    parameters: Tensor  # N_l
    pool_z1: Tensor  # N_eff,l

    def targets(self, c: float | None) -> Tensor:
        """T_l, [l]: c N_eff,l, or N_l if c is None."""
        return self.parameters if c is None else c * self.pool_z1

    def facts(self, z1: float, targets: Tensor) -> dict[str, float]:
        """A query's Z1, and the numbers to compare it with: the target T, the number of parameters N, and N_eff."""
        totals = {"target": targets, "parameters": self.parameters, "pool_z1": self.pool_z1}
        return {"z1": z1, **{name: float(parts.sum()) for name, parts in totals.items()}}


def sizes(factors: dict[str, Factors], inverses: dict[str, Factors]) -> Sizes:
    """The sizes N_l and N_eff,l from the pool's `factors` and their damped `inverses`."""
    pairs = [(factors[name], inverses[name]) for name in factors]
    numbers = [[len(f.psi) * len(f.tau), float((f.psi * i.psi).sum() * (f.tau * i.tau).sum())] for f, i in pairs]
    return Sizes(*torch.tensor(numbers, dtype=torch.float64, device=pairs[0][0].psi.device).unbind(1))


def _positive(number: float | str, target: float | str) -> float:
    try:
        value = float("nan") if isinstance(number, bool) else float(number)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 < value < inf:
        raise UsageError(f"strategy.target is {target!r}; give {FORMS}")
    return value
