"""What a curve looks like: told apart by colour, by marker and by dashes, so that grey paper shows as much."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style

from al_runner.analysis.table.rows import BASELINE

SHEET = Path(__file__).with_name("paper.mplstyle")
# Okabe & Ito (2008), black first for the baseline; in place of their yellow, faint on white, the olive of Tol (2021).
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933")
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "-", (0, (7, 1.2)), (0, (7, 1, 1.2, 1)), (0, (1.5, 0.8)))
TRUTH = "#555555"


class Pen(NamedTuple):
    """How one curve is drawn."""

    colour: str
    marker: str
    dashes: Any


def pens(names: Iterable[str]) -> dict[str, Pen]:
    """A pen for every curve of a figure: plain black for the baseline, the same for the same names in any order."""
    others = sorted(set(names) - {BASELINE})
    drawn = {BASELINE: 0} | {name: place for place, name in enumerate(others, start=1)}
    return {
        name: Pen(
            COLOURS[0 if place == 0 else 1 + (place - 1) % (len(COLOURS) - 1)],
            MARKERS[place % len(MARKERS)],
            DASHES[place % len(DASHES)],
        )
        for name, place in drawn.items()
    }


def sheet() -> AbstractContextManager[None]:
    """The style sheet, on matplotlib's own defaults whatever the user's matplotlibrc says."""
    return matplotlib.style.context(["default", str(SHEET)])
