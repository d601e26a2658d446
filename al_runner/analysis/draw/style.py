"""What a curve looks like: told apart by colour, by marker and by dashes, so that grey paper shows as much.

A strategy looks the same in every figure and page. Those of `table/display.py` take colours and markers in turn, which
gives 36 different pairs; a strategy that is not there takes them by a checksum of its name. A variant, or a learner
where learners are compared, has the colour and the marker of its strategy and dashes of its own.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from al_runner.analysis.table.display import STRATEGIES
from al_runner.analysis.table.rows import BASELINE

SHEET = Path(__file__).with_name("paper.mplstyle")
# Okabe & Ito (2008); in place of their yellow, faint on white, the olive, wine and indigo of Tol (2021).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#882255", "#999933", "#332288")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d")
DASHES = ("-", (0, (7, 1.2)), (0, (7, 1, 1.2, 1)), (0, (1.5, 0.8)))
BLACK, TRUTH = "#000000", "#555555"
KNOWN = tuple(STRATEGIES)
TURN = len(MARKERS) * len(DASHES)


class Pen(NamedTuple):
    """How one curve is drawn."""

    colour: str
    marker: str
    dashes: Any


class Picture(Figure):
    """A figure that a notebook shows by itself."""

    def _repr_png_(self) -> bytes:
        FigureCanvasAgg(self)
        stream = BytesIO()
        with sheet():
            self.savefig(stream, format="png", dpi=150)
        return stream.getvalue()


def pens(names: Iterable[str]) -> dict[str, Pen]:
    """A pen for every curve of a figure, the same for the same name in every figure.

    Strategies of the table differ without colour too. Other names that come out alike, of which there are few, take the
    next free pen, all but the first; where there are more names than pens, some share one.
    """
    held: dict[str, Pen] = {}
    for name in sorted(set(names), key=lambda name: (name not in STRATEGIES, name)):
        shifted = map(partial(pen_of, name), range(len(COLOURS) * TURN))
        held[name] = next((pen for pen in shifted if pen not in held.values()), pen_of(name))
    return held


def pen_of(curve: str, shift: int = 0) -> Pen:
    """A curve's own pen, or the one so many places after it, which has another marker, other dashes, another colour."""
    strategy, _, variant = curve.partition("-")
    place = KNOWN.index(strategy) - 1 if strategy in KNOWN else crc32(strategy.encode()) % (9 * TURN)
    other = 1 + crc32(variant.encode()) % (len(DASHES) - 1) if variant else 0
    turns = place // len(MARKERS) + other + shift // len(MARKERS)
    dashes = DASHES[turns % len(DASHES)]
    if strategy == BASELINE and not shift:
        return Pen(BLACK, "", DASHES[other])
    return Pen(COLOURS[(place + shift // TURN) % len(COLOURS)], MARKERS[(place + shift) % len(MARKERS)], dashes)


def sheet() -> AbstractContextManager[None]:
    """The style sheet, on matplotlib's own defaults whatever the user's matplotlibrc says."""
    return matplotlib.style.context(["default", str(SHEET)])
