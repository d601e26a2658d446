"""What a net takes for what: the confusion matrices of the last round, from every run's confusion.csv.

S seeds, Y classes. A share is of a class's test images.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_runner.analysis.stats.intervals import Floats
from al_runner.analysis.table.names import curve_names
from al_runner.analysis.table.rows import count, read_columns

COLUMNS = ("round", "class", "prediction", "images")
MOST_CLASSES = 20  # of a matrix that is drawn
FEW, MANY = 3, 10  # confusions that are named with a matrix, and in place of one
SHORT = 3  # characters: longer names of predictions are turned by 90 degrees


class Cell(NamedTuple):
    """A class and a prediction: the share in percent as it is shown, and how strong its colour is, in [0, 1]."""

    kind: str  # right, or wrong
    text: str  # empty if there is no such image
    shade: str
    title: str


class Matrix(NamedTuple):
    """The mean confusion matrix of a curve, as the page shows it."""

    name: str
    note: str
    classes: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]  # a row for each true class; empty if there are too many classes
    first: bool  # shown at once; a click opens the others
    turned: bool


def last_confusion(folder: Path) -> pd.DataFrame | None:
    """The cells of a run's newest confusion matrix that are not 0: COLUMNS. None if the run recorded none.

    Raises UsageError if the file is damaged.
    """
    try:
        cells = pd.DataFrame(read_columns(folder / "confusion.csv", dict.fromkeys(COLUMNS, count)))
    except FileNotFoundError:
        return None
    return cells[cells["round"] == cells["round"].max()] if len(cells) else None


def mean_shares(seeds: Sequence[pd.DataFrame]) -> "pd.Series[float]":
    """The share of each class's images that gets each prediction, by class and prediction, as a mean over the seeds.

    Cells that are 0 in every seed are left out. A class counts in the seeds whose test set has an image of it.
    """
    parts = []
    for cells in seeds:
        images = cells.groupby(["class", "prediction"])["images"].sum().astype(float)
        parts.append(images[images > 0] / images.groupby("class").transform("sum"))
    together = pd.concat(parts)
    have = pd.concat([part.groupby("class").sum() for part in parts]).groupby("class").size()
    sums = together.groupby(["class", "prediction"]).sum()
    return sums.div(have, level="class")


def square(shares: "pd.Series[float]", classes: int) -> Floats:
    """The shares by class (row) and prediction (column), [Y, Y]; 0 where there is no image."""
    matrix = np.zeros((classes, classes))
    matrix[*_places(shares)] = shares.to_numpy()
    return matrix


def _places(shares: "pd.Series[float]") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The class and the prediction of every share."""
    label, prediction = (shares.index.get_level_values(level).to_numpy(np.int64) for level in ("class", "prediction"))
    return label, prediction


def largest(shares: "pd.Series[float]", names: Sequence[str], most: int) -> str:
    """The most frequent confusions in words, `8 taken for 1 (12%), 9 taken for 3 (8%)`; empty if nothing is wrong."""
    labels, predictions = _places(shares)
    wrong = shares[labels != predictions].sort_index().sort_values(ascending=False, kind="stable")[:most]
    return ", ".join(
        f"{_name(names, label)} taken for {_name(names, prediction)} ({_percent(share)}%)"
        for label, prediction, share in zip(*_places(wrong), wrong, strict=True)
    )


def matrices(
    runs: pd.DataFrame,
    confusions: Mapping[str, pd.DataFrame],
    names: Mapping[str, str],
    classes: Sequence[str],
    best: str,
) -> list[Matrix]:
    """A matrix for every curve of `runs`, rows of the tidy table, that has a run with a confusion matrix.

    `names` are the shown names of curves, and `classes` those of classes, empty if they are not known. The matrix of
    the curve `best` is shown at once, or the first if there is no such curve.
    """
    by_curve = {name: part for name, part in runs.groupby(curve_names(runs), sort=False)}
    seeds = {
        str(name): {folder: confusions[folder] for folder in part["folder"].unique() if folder in confusions}
        for name, part in by_curve.items()
    }
    held = {name: cells for name, cells in seeds.items() if cells}
    open_ = best if best in held else next(iter(held), "")
    return [
        _matrix(names[name], mean_shares([*cells.values()]), classes, _note(by_curve[name], cells), name == open_)
        for name, cells in held.items()
    ]


def _note(runs: pd.DataFrame, cells: Mapping[str, pd.DataFrame]) -> str:
    """How many seeds the matrix is the mean of, and with how many labels."""
    at = [runs[(runs["folder"] == folder) & (runs["round"] == one["round"].iloc[0])] for folder, one in cells.items()]
    labels = sorted({int(part["labelled"].iloc[0]) for part in at if len(part)})
    span = " to ".join(f"{number:,}" for number in dict.fromkeys((labels[0], labels[-1]))) if labels else "unknown"
    return f"{'One seed' if len(cells) == 1 else f'Mean of {len(cells)} seeds'}, {span} labels"


def _matrix(name: str, shares: "pd.Series[float]", classes: Sequence[str], note: str, first: bool) -> Matrix:
    many = max(len(classes), *(int(places.max()) + 1 for places in _places(shares)))
    drawn = many <= MOST_CLASSES
    words = largest(shares, classes, FEW if drawn else MANY)
    said = f"{note}. Most often wrong: {words}." if words else f"{note}. No image is wrong."
    if not drawn:
        return Matrix(name, f"{said} {many:,} classes are too many for a matrix.", (), (), first, False)
    shown, values = [_name(classes, label) for label in range(many)], square(shares, many)
    rows = [
        (
            shown[label],
            [_cell(values[label, other], label == other, shown[label], shown[other]) for other in range(many)],
        )
        for label in range(many)
    ]
    return Matrix(name, said, shown, rows, first, max(map(len, shown)) > SHORT)


def _cell(share: float, right: bool, label: str, prediction: str) -> Cell:
    if share == 0:
        return Cell("", "", "", "")
    title = f"{label}, predicted {prediction}: {100 * share:.2f}%"
    return Cell("right" if right else "wrong", _percent(share), f"{share if right else sqrt(share):.2f}", title)


def _name(classes: Sequence[str], label: int) -> str:
    return classes[label] if label < len(classes) else str(label)


def _percent(share: float) -> str:
    return "<1" if share < 0.005 else f"{100 * share:.0f}"
