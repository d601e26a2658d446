"""What a run recorded."""

import csv
from pathlib import Path


def rounds(folder: Path) -> int:
    """How many rounds the run in `folder` recorded, or all runs below it; 0 before its first."""
    return sum(len(file.read_text().splitlines()) - 1 for file in folder.rglob("rounds.csv"))


def untimed(folder: Path) -> list[dict[str, str]]:
    """The rows of rounds.csv without what depends on the moment: seconds and joules."""
    with (folder / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if not key.endswith(("seconds", "joules"))} for row in rows]
