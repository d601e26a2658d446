"""Traces of single examples' Kronecker factors, without forming an i x i matrix for any example."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from al_runner.fisher.capture import samples
from al_runner.fisher.factors import Factors
from al_runner.fisher.layers import layers_of

CACHED = 2**18  # numbers that fit a core's cache


class Traces(NamedTuple):
    """A trace an example and block for each of the two factors, [n, l]."""

    psi: Tensor
    tau: Tensor


def product_traces(net: nn.Module, batches: Iterable[Tensor], matrices: Mapping[str, Factors]) -> Traces:
    """tr(psi_x P) and tr(tau_x Q) for every example x and block of `matrices` (P, Q), in their order.

    Labels are the predictions. With rows a_t of a layer's input, tr(psi_x P) = sum_t a_t' P a_t.
    """
    return _traces(net, batches, matrices, _product)


def squared_traces(net: nn.Module, batches: Iterable[Tensor], matrices: Mapping[str, Factors]) -> Traces:
    """tr(psi_x P psi_x) and tr(tau_x Q tau_x); labels are the predictions.

    tr(psi_x P psi_x) = sum_st (a_s' P a_t) (a_s' a_t), a [t, t] matrix an example.
    """
    return _traces(net, batches, matrices, _squared)


def _traces(
    net: nn.Module,
    batches: Iterable[Tensor],
    matrices: Mapping[str, Factors],
    trace: Callable[[Tensor, Tensor], Tensor],
) -> Traces:
    layers = layers_of(net, set(matrices))
    psi, tau = [], []
    for x in batches:
        parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in matrices}
        for name, (inputs, gradients) in samples(net, x, None, layers):
            # tau_x carries 1/T, so its traces carry it once or squared: scale the rows instead.
            scaled = gradients / gradients.shape[1] ** 0.5
            parts[name].append((trace(inputs, matrices[name].psi), trace(scaled, matrices[name].tau)))
        psi.append(torch.stack([torch.cat([part[0] for part in found]) for found in parts.values()], 1))
        tau.append(torch.stack([torch.cat([part[1] for part in found]) for found in parts.values()], 1))
    return Traces(torch.cat(psi), torch.cat(tau))


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """[n, t, d], [d, d] -> [n], in the rows' precision."""
    matrix = matrix.to(rows.dtype)
    # A few images at a time: the product then stays in the cache, which is 1.1 to 2 times as fast as all at once.
    return torch.cat([_inner(few @ matrix, few) for few in rows.split(max(1, CACHED // rows[0].numel()))])


def _squared(rows: Tensor, matrix: Tensor) -> Tensor:
    """[n, t, d], [d, d] -> float64 [n]."""
    product = rows @ matrix.to(rows.dtype)
    if rows.shape[1] == 1:  # a dense layer: two inner products
        return _inner(product, rows).double() * _inner(rows, rows).double()
    return _inner(product @ rows.mT, rows @ rows.mT).double()


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Sum of products of each example's entries, [n, t, d] twice -> [n]."""
    inner: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return inner
