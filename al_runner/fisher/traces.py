"""Traces of single examples' Kronecker factors; no i x i matrix is formed for an example."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from al_runner.fisher.capture import captured_parts, fisher_losses
from al_runner.fisher.factors import Factors
from al_runner.fisher.layers import layers_of

CACHED = 2**18  # about as many numbers as fit into a core's cache


class Spectra(NamedTuple):
    """What each example adds to a block's two factors along their directions."""

    psi: Tensor  # [n, i]
    tau: Tensor  # [n, o]


class Traces(NamedTuple):
    """For each of the two factors, a trace for every example and block, [n, l]."""

    psi: Tensor
    tau: Tensor


Batch = Tensor | tuple[Tensor, Tensor | None]  # inputs, with labels; without labels the predictions are used


def product_traces(
    net: nn.Module,
    batches: Iterable[Batch],
    matrices: Mapping[str, Factors],
    count: int | None = None,
    expected: bool = False,
) -> Traces:
    """tr(psi_x P) and tr(tau_x Q) for every example x and block of `matrices` (P, Q), in their order, [n, l].

    If a batch has no labels, the predictions are the labels. With `expected` the result is an expectation over the
    predictions. With rows a_t of a layer's input, tr(psi_x P) = sum_t a_t' P a_t. If `count`, the number of examples,
    is given, no second copy of the traces is made. Raises ValueError if `count` is wrong, and UsageError if the net
    does not have one of the blocks.
    """
    return _gathered(map(_columns, _values(net, batches, matrices, _product, expected)), count)


def squared_traces(
    net: nn.Module,
    batches: Iterable[Batch],
    matrices: Mapping[str, Factors],
    count: int | None = None,
    expected: bool = False,
) -> Traces:
    """tr(psi_x P psi_x) and tr(tau_x Q tau_x), float64 [n, l]; arguments and errors as in `product_traces`.

    tr(psi_x P psi_x) = sum_st (a_s' P a_t) (a_s' a_t), from a [t, t] matrix for each example.
    """
    return _gathered(map(_columns, _values(net, batches, matrices, _squared, expected)), count)


def spectra(
    net: nn.Module, batches: Iterable[Batch], vectors: Mapping[str, Factors], expected: bool = False
) -> dict[str, Spectra]:
    """diag(V' psi_x V) and diag(W' tau_x W) for every example x and block of `vectors` (V, W), [n, i] and [n, o].

    If V and W are the eigenvectors of the mean factors, this is what each example adds along each direction. Labels as
    in `product_traces`.
    """
    parts = list(_values(net, batches, vectors, _squares, expected))
    sides = {name: zip(*(part[name] for part in parts), strict=True) for name in vectors}
    return {name: Spectra(*(torch.cat(side) for side in both)) for name, both in sides.items()}


def _values(
    net: nn.Module,
    batches: Iterable[Batch],
    matrices: Mapping[str, Factors],
    value: Callable[[Tensor, Tensor], Tensor],
    expected: bool,
) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """`value` of each block's rows and matrix, for its inputs and its gradients, one batch after the other."""
    layers = layers_of(net, set(matrices))
    for batch in batches:
        x, y = (batch, None) if isinstance(batch, Tensor) else batch
        parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in matrices}
        for name, (inputs, gradients) in captured_parts(net, x, fisher_losses(y, expected), layers):
            # tau_x has the factor 1/T, and its traces have it once or squared. Scaling the rows does both.
            scaled = gradients / gradients.shape[1] ** 0.5
            parts[name].append((value(inputs, matrices[name].psi), value(scaled, matrices[name].tau)))
        yield {
            name: (torch.cat([psi for psi, _ in values]), torch.cat([tau for _, tau in values]))
            for name, values in parts.items()
        }


def _columns(values: dict[str, tuple[Tensor, Tensor]]) -> Traces:
    return Traces(*(torch.stack(side, 1) for side in zip(*values.values(), strict=True)))


def _gathered(parts: Iterator[Traces], count: int | None) -> Traces:
    """The traces of all batches together; raises ValueError if `count` is given and the examples are not as many."""
    if count is None:
        return Traces(*(torch.cat(side) for side in zip(*parts, strict=True)))
    start, table = 0, None
    for part in parts:
        table = table or Traces(*(side.new_empty(count, side.shape[1]) for side in part))
        for side, new in zip(table, part, strict=True):
            side[start : start + len(new)] = new
        start += len(part.psi)
    if table is None or start != count:
        raise ValueError(f"traces of {count} examples were asked for, but there are {start}")
    return table


def _squares(rows: Tensor, vectors: Tensor) -> Tensor:
    """Mean squares along the columns of `vectors`, [n, t, d], [d, d] -> [n, d]."""
    return (rows @ vectors.to(rows.dtype)).square().sum(1)


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """[n, t, d], [d, d] -> [n], in the rows' precision."""
    matrix = matrix.to(rows.dtype)
    # A few images at a time: the product then stays in the cache, which is 1.1 to 2 times as fast.
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
