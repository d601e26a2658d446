"""The live table's curves; tests/test_lockstep.py has the table as a whole, on a terminal of its own."""

from io import StringIO

import pytest
from rich.console import Console

from al_runner.sweeps.live import LiveTable
from al_runner.sweeps.progress import sparkline


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
