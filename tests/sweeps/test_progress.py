"""The live table's curves; tests/test_lockstep.py has the table as a whole, on a terminal of its own."""

from io import StringIO

import pytest
from rich.console import Console

from al_runner.sweeps.live import LiveTable
from al_runner.sweeps.progress import duration, seconds_left, sparkline


class Screen:
    def update(self, *_: object, **__: object) -> None: ...


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0.5], "▁"),
        ([0.2, 0.2], "▁▁"),
        ([0.8, 0.5, 0.1], "█▅▁"),
        ([*range(8)], "▁▂▃▄▅▆▇█"),
    ],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(values: list[float], line: str) -> None:
    assert sparkline(values) == line


def test_long_curves_keep_their_ends() -> None:
    line = sparkline([*range(100, -1, -1)], width=5)
    assert len(line) == 5
    assert (line[0], line[-1]) == ("█", "▁")


def test_a_round_to_come_takes_as_long_as_the_newest_five_on_average() -> None:
    """The first round, which took far longer, no longer counts; nor does a query whose time is not known."""
    seconds = [900.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    rows = [{"fit_seconds": fit, "select_seconds": "" if place % 2 else 1.0} for place, fit in enumerate(seconds)]
    assert seconds_left(rows, 10) == 4 * (15 + 2) / 5
    assert seconds_left(rows[:1], 3) == 2 * 901
    assert seconds_left([], 3) is None


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00:00"), (59.6, "0:01:00"), (7384.2, "2:03:04")])
def test_a_duration_has_hours_minutes_and_seconds(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_table_draws_the_mean_over_the_seeds_that_have_begun() -> None:
    table = LiveTable(Screen(), 3)  # type: ignore[arg-type]
    row = {"round": 0, "labelled": 8, "test_error": 0.8, "fit_seconds": 1.0, "select_seconds": ""}
    table.opened("usps bald seed 0", 3, [row])  # resumed
    for seed in (1, 2):
        table.opened(f"usps bald seed {seed}", 3, [])
    table.measured("usps bald seed 0", 3, {**row, "round": 1, "test_error": 0.1})
    table.measured("usps bald seed 1", 3, {**row, "test_error": 0.9})
    table.measured("usps bald seed 1", 3, {**row, "round": 1, "test_error": 0.2})
    table.measured("usps bald seed 1", 3, {**row, "round": 2, "test_error": 0.0})
    console = Console(width=120, record=True, file=StringIO())
    console.print(table.table(60))
    assert "█▁" in console.export_text()
