"""The lines at the start of a run, where labelled images may be set aside for validation."""

from dataclasses import replace

import pytest
import toy

from al_runner.sweeps.header import data_of, rounds_of


@pytest.mark.parametrize(
    ("purchases", "aside", "line"),
    [
        ([40, 40, 40], [0, 0, 0], "3 rounds, from 40 labels to 120"),
        ([40, 40, 40], [8, 16, 24], "3 rounds, from 40 labels to 120, of them 8 to 24 for validation"),
        ([1097], [0], "1 round with 1,097 labels"),
        ([1097], [219], "1 round with 1,097 labels, 219 of them for validation"),
    ],
)
def test_the_labels_that_are_set_aside_are_counted(purchases: list[int], aside: list[int], line: str) -> None:
    assert rounds_of(purchases, aside) == line


def test_images_that_lie_unused_are_named_with_what_puts_them_into_the_pool() -> None:
    data = toy.data_set()
    unused = "80 to choose from, 40 unused (dataset.split.val=0 adds them to these), 40 for the test"
    assert data_of(data).endswith("3 classes; 80 to choose from, 40 for validation, 40 for the test")
    assert data_of(data.without_validation()).endswith(f"3 classes; {unused}")
    assert data_of(replace(data, val=data.val[:0])).endswith("3 classes; 80 to choose from, 40 for the test")
