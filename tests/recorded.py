"""What a run recorded."""

import csv
from pathlib import Path


def untimed(folder: Path) -> list[dict[str, str]]:
    """The rows of rounds.csv without what depends on the moment: seconds and joules."""
    with (folder / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if not key.endswith(("seconds", "joules"))} for row in rows]
