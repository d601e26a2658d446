"""What a run recorded."""

import csv
from pathlib import Path

from al_runner.record.journal import Bought, Measured, Predicted
from al_runner.record.run import RunRecord


class Stop(Exception):
    """Ends a run between two writes."""


def stop_after(record: RunRecord, writes: int) -> None:
    """Let the record raise Stop after this many predictions, purchases and measurements."""
    written = 0

    def count(event: object) -> None:
        nonlocal written
        written += 1
        if written == writes:
            raise Stop

    for kind in (Predicted, Bought, Measured):
        record.on(kind, count)


def rounds(folder: Path) -> int:
    """How many rounds the run in `folder` recorded, or all runs below it; 0 before its first."""
    return sum(len(file.read_text().splitlines()) - 1 for file in folder.rglob("rounds.csv"))


def untimed(folder: Path) -> list[dict[str, str]]:
    """The rows of rounds.csv without what depends on the moment: seconds and joules."""
    with (folder / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if not key.endswith(("seconds", "joules"))} for row in rows]
