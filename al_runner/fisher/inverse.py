"""Damped inverses of Fisher factors, exact and by Nystrom columns."""

import torch
from torch import Tensor

from al_runner.errors import UsageError

SPECTRUM = 1e-10  # eigenvalues below this fraction of the greatest are dropped; rounding leaves negative ones, too


def damped_inverse(matrix: Tensor, damping: float) -> Tensor:
    """(M + lam I)^-1 with lam = damping * tr(M) / dim(M), by Cholesky in float64.

    Damping relative to the block: inputs that are dead on the whole set would give any absolute one
    unbounded weight. A zero matrix counts as the identity times `damping`.
    """
    size = len(matrix)
    damped = matrix + damping * _scale(matrix) * torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if bool(failed):
        raise UsageError(f"a Fisher block of size {size} is singular at damping {damping}; raise strategy.damping")
    return torch.cholesky_inverse(factor)


def nystrom_inverse(matrix: Tensor, damping: float, columns: Tensor) -> Tensor:
    """(C W^+ C' + lam I)^-1 with C = M[:, columns], W = M[columns, columns] and the lam of `damped_inverse`.

    C W^+ C' is the Nystrom approximation of M from r sampled columns (Talwalkar, 2010). With C W^+ C' = B B', the
    Woodbury identity leaves only an r x r matrix to be inverted, (I - B (lam I + B' B)^-1 B') / lam: O(d^2 r) in all
    against O(d^3). What the columns miss of M is taken for 0, so its inverse for 1 / lam: the result is never below the
    exact inverse (in the order of symmetric matrices), falls as columns are added, and meets it with all of them
    (to 1e-6 for a large M summed in single precision, whose rounding is not positive semi-definite).
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
