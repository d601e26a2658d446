"""Images that a person labels, and somebody who fills query.csv."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ("red", "green", "blue")
COUNT = 48


def photos(root: Path, count: int = COUNT) -> Path:
    """Images of three colours in a sub-folder called unlabelled; the name of each begins with its number."""
    rng = np.random.default_rng(0)
    (root / "unlabelled").mkdir(parents=True)
    for number in range(count):
        pixels = rng.integers(0, 100, (8, 8, 3), dtype=np.uint8)
        pixels[..., number % 3] += 100
        Image.fromarray(pixels).save(root / "unlabelled" / f"{number:02d}.png")
    return root


def colour_of(file: str) -> str:
    """The true class of an image."""
    return COLOURS[int(Path(file).stem) % 3]


def words(root: Path, results: Path, *more: str) -> list[str]:
    """A run on them: 6 images at first, then two queries of 4; 8 to test and 5 to validate on."""
    return [
        "dataset=folder", f"dataset.path={root}", f"results={results}", f"data_root={results / 'data'}",
        "oracle=person",
        "dataset.split.test=8", "dataset.split.val=5", "budget.initial=6", "budget.query=4", "budget.max_rounds=2",
        "strategy=entropy", "training.max_checks=2", "training.check_every=2", *more,
    ]  # fmt: skip


def run_folder(results: Path) -> Path:
    """The folder of the only run."""
    (state,) = results.rglob("state.json")
    return state.parent


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as stream:
        return [*csv.DictReader(stream)]


def fill(table: Path, said: Mapping[str, str] = {}, to: Path | None = None) -> list[dict[str, str]]:
    """Write the true class of every image into the table, or what is `said` of it by its file's name; its rows."""
    found = rows(table)
    for row in found:
        row["label"] = said.get(row["file"], colour_of(row["file"]))
    with (to or table).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, found[0])
        writer.writeheader()
        writer.writerows(found)
    return found
