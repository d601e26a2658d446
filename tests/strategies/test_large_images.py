"""No strategy takes many large images through a net at once."""

from collections.abc import Iterator

import pytest
from test_contract import CASES
from torch import Tensor

from al_runner.models.inputs import Standardise
from al_runner.strategies import emoc
from al_runner.system import chunks
from al_runner.testing import toy
from al_runner.testing.case import pool_of

VALUES = 6 * 6  # of a toy image
MOST = 512 // VALUES  # images of a forward pass, if 512 images of a single value are small


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many images every forward pass of a net takes."""
    counts: list[int] = []
    forward = Standardise.forward

    def counted(self: Standardise, x: Tensor) -> Tensor:
        counts.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(Standardise, "forward", counted)
    return counts


@pytest.mark.parametrize("case", CASES)
def test_a_query_takes_few_large_images_at_once(case: str, seen: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy images count as large, with 36 times the values of a small image."""
    fitted = CASES[case].fitted
    monkeypatch.setattr(chunks, "SMALL", 1)
    monkeypatch.setattr(emoc, "MAX_NUMBERS", {"cpu": 2**12})  # EMOC counts the numbers of an image's gradient
    seen.clear()
    CASES[case].query(fitted, pool_of(toy.data_set()), 5)
    assert max(seen, default=0) <= MOST


def test_small_images_are_taken_together(seen: list[int]) -> None:
    case = CASES["entropy-plain"]
    case.query(case.fitted, pool_of(toy.data_set()), 5)
    assert max(seen) == 40
