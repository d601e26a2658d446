"""The scores of a strategy of any origin are numbers, one for each image."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.strategies.base import ByScore
from al_runner.types import Fitted

IDS = torch.tensor([7, 3, 5])


class Given(ByScore):
    """Gives the scores that it was made with."""

    def __init__(self, given: object) -> None:
        self.given = given

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Any:
        return self.given


def scored(given: object) -> Tensor:
    return Given(given).scored(cast(Fitted, None), cast(Pool, None), IDS, torch.Generator())


@pytest.mark.parametrize(
    "given",
    [[1, 2, 3], np.array([1, 2, 3]), torch.tensor([1, 2, 3]), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)],
    ids=["list", "array", "whole numbers", "with a gradient"],
)
def test_numbers_of_any_usual_form_are_taken(given: object) -> None:
    scores = scored(given)
    assert scores.is_floating_point()
    assert not scores.requires_grad
    assert scores.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (None, "NoneType"),
        (torch.zeros(3, 1), r"torch\.float32 of shape \[3, 1\]"),
        (torch.zeros(2), r"torch\.float32 of shape \[2\]"),
        (torch.zeros(3, dtype=torch.complex64), r"torch\.complex64 of shape \[3\]"),
    ],
    ids=str,
)
def test_anything_else_is_one_line(given: object, returned: str) -> None:
    with pytest.raises(UsageError, match=rf"\.scores returned {returned}; .* one number for each of the 3 images"):
        scored(given)


def test_nan_is_no_score() -> None:
    with pytest.raises(ArithmeticError, match="a score that is NaN"):
        scored([0.0, float("nan"), 1.0])
