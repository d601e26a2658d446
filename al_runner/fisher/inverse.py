"""Damped inverses of Fisher factors: exact, or approximate from some columns (Nystrom)."""

import torch
from torch import Tensor

from al_runner.errors import UsageError

SPECTRUM = 1e-10  # eigenvalues below this share of the greatest are dropped; rounding makes some of them negative


def damped_inverse(matrix: Tensor, damping: float) -> Tensor:
    """(M + lam I)^-1 for M = `matrix`, float64 [d, d], with lam = damping * tr(M) / d, by Cholesky.

    The damping is relative to the block. If inputs are 0 on the whole set, an absolute damping could get any weight. A
    zero matrix counts as the identity times `damping`. Raises UsageError if the damped matrix is singular.
    """
    size = len(matrix)
    damped = matrix + damping * _scale(matrix) * torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if bool(failed):
        raise UsageError(f"a Fisher block of size {size} is singular at damping {damping}; raise strategy.damping")
    return torch.cholesky_inverse(factor)


def nystrom_inverse(matrix: Tensor, damping: float, columns: Tensor) -> Tensor:
    """(C W^+ C' + lam I)^-1 with C = M[:, columns], W = M[columns, columns] and lam as in `damped_inverse`, [d, d].

    C W^+ C' is the Nystrom approximation of M from r sampled columns (Talwalkar, 2010). With C W^+ C' = B B', the
    Woodbury identity gives (I - B (lam I + B' B)^-1 B') / lam, so only an r x r matrix is inverted: O(d^2 r) in all,
    not O(d^3). The part of M that the columns miss counts as 0, and its inverse as 1 / lam. So the result is never
    below the exact inverse (in the order of symmetric matrices) and falls with every column. With all columns it is the
    exact inverse. For a large M that was summed in single precision the two agree to 1e-6, because rounding leaves M
    not positive semi-definite.
    """
    lam = damping * _scale(matrix)
    sampled = matrix[:, columns]
    values, vectors = torch.linalg.eigh(sampled[columns])
    kept = values > SPECTRUM * values[-1].clamp_min(0)
    half = sampled @ (vectors[:, kept] / values[kept].sqrt())
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    inner = lam * torch.eye(half.shape[1], dtype=matrix.dtype, device=matrix.device) + half.T @ half
    inverse: Tensor = (identity - half @ torch.linalg.solve(inner, half.T)) / lam
    return inverse


def _scale(matrix: Tensor) -> Tensor:
    """The mean eigenvalue, or 1 for a zero matrix."""
    scale = matrix.trace() / len(matrix)
    return scale if bool(scale > 0) else torch.ones_like(scale)
