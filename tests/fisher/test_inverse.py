"""The Nystrom inverse against its formula written out, and against the exact inverse it approaches."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from al_runner.fisher import damped_inverse, mean_factors, nystrom_inverse

DOUBLE = {"dtype": torch.float64}
DAMPING = 0.1


def psi() -> Tensor:
    """The factor of a convolution's 3 x 3 x 4 inputs and bias, for smooth images whose neighbouring pixels agree."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(36, 3))
    images = nn.functional.interpolate(torch.randn(20, 2, 3, 3), 7, mode="bicubic")
    return mean_factors(net.double().eval(), [(images.double(), None)])["2"].psi


def lam(matrix: Tensor) -> Tensor:
    return DAMPING * matrix.trace() / len(matrix) * torch.eye(len(matrix), **DOUBLE)


def errors(matrix: Tensor, ranks: list[int]) -> list[float]:
    """Relative Frobenius errors, from the first columns of one order, for each number of columns."""
    exact = damped_inverse(matrix, DAMPING)
    order = torch.randperm(len(matrix), generator=torch.Generator().manual_seed(1))
    approximate = [nystrom_inverse(matrix, DAMPING, order[:rank]) for rank in ranks]
    return [((inverse - exact).norm() / exact.norm()).item() for inverse in approximate]


@pytest.mark.parametrize("rank", [1, 5, 20])
def test_it_is_the_inverse_of_the_nystrom_matrix(rank: int) -> None:
    matrix = psi()
    columns = torch.randperm(len(matrix), generator=torch.Generator().manual_seed(1))[:rank]
    sampled = matrix[:, columns]
    written_out = sampled @ torch.linalg.inv(sampled[columns]) @ sampled.T + lam(matrix)
    torch.testing.assert_close(
        nystrom_inverse(matrix, DAMPING, columns), torch.linalg.inv(written_out), rtol=1e-9, atol=1e-12
    )


def test_the_error_falls_with_the_rank_and_vanishes_at_the_full_one() -> None:
    matrix = psi()
    assert len(matrix) == 37
    found = errors(matrix, list(range(1, 38)))
    assert all(after < before for before, after in pairwise(found))
    assert found[0] > 0.5
    assert found[-1] < 1e-12


def test_it_is_never_below_the_exact_inverse() -> None:
    matrix = psi()
    for rank in (1, 9, 36):
        excess = nystrom_inverse(matrix, DAMPING, torch.arange(rank)) - damped_inverse(matrix, DAMPING)
        assert torch.linalg.eigvalsh(excess).min().item() > -1e-12 * excess.norm().item()


def test_as_many_columns_as_the_matrix_has_rank_are_enough() -> None:
    torch.manual_seed(2)
    rows = torch.randn(4, 12, **DOUBLE)
    assert errors(rows.T @ rows, [3, 4])[0] > 1e-2
    assert errors(rows.T @ rows, [3, 4])[1] < 1e-12


def test_columns_of_zeros_or_equal_columns_are_no_problem() -> None:
    torch.manual_seed(3)
    rows = torch.randn(30, 4, **DOUBLE)
    rows = torch.cat([rows, rows, torch.zeros(30, 3, **DOUBLE)], 1)
    matrix = rows.T @ rows
    exact = damped_inverse(matrix, DAMPING)
    torch.testing.assert_close(nystrom_inverse(matrix, DAMPING, torch.arange(11)), exact, rtol=1e-9, atol=1e-12)
    dead = nystrom_inverse(matrix, DAMPING, torch.arange(8, 11))
    torch.testing.assert_close(dead, torch.linalg.inv(lam(matrix)), rtol=1e-12, atol=0)


def test_a_zero_matrix_counts_as_for_the_exact_inverse() -> None:
    zero = torch.zeros(3, 3, **DOUBLE)
    torch.testing.assert_close(nystrom_inverse(zero, DAMPING, torch.tensor([1])), damped_inverse(zero, DAMPING))
