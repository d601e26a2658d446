"""The look of a curve. Colour, marker and dashes differ between curves, so that they also differ without colour.

A strategy has the same marker and dashes in every figure and page, and its own colour unless another strategy of the
figure has that one: up to nine strategies all differ in colour. Those of `table/display.py` take colours and markers in
turn. For another strategy, a checksum of its name chooses them. A variant (or a learner, if learners are compared) has
the colour and the marker of its strategy, but other dashes. Three or more variants of the only strategy beside the
baseline look like different strategies.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from al_runner.analysis.table.display import STRATEGIES
from al_runner.analysis.table.rows import BASELINE

SHEET = Path(__file__).with_name("paper.mplstyle")
# The numbers of colours and markers share no divisor, so that their pairs repeat late.
# Okabe & Ito (2008); in place of their yellow, faint on white, the olive, wine and indigo of Tol (2021).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#882255", "#999933", "#332288")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d", "H")
DASHES = ("-", (0, (7, 1.2)), (0, (7, 1, 1.2, 1)), (0, (1.5, 0.8)))
BLACK, TRUTH = "#000000", "#555555"
KNOWN = tuple(STRATEGIES)
TURN = len(MARKERS) * len(DASHES)
ALIKE = 2  # as many variants of the only strategy are told apart by their dashes alone


class Pen(NamedTuple):
    """How one curve is drawn."""

    colour: str
    marker: str
    dashes: Any


class Picture(Figure):
    """A figure that a notebook shows without further calls."""

    def _repr_png_(self) -> bytes:
        FigureCanvasAgg(self)
        stream = BytesIO()
        with sheet():
            self.savefig(stream, format="png", dpi=150)
        return stream.getvalue()


def pens(names: Iterable[str]) -> dict[str, Pen]:
    """A pen for every curve of a figure. The same name has the same marker and dashes in nearly every figure.

    Strategies of the table also differ without colour. If another name gets a pen that is taken, which is rare, it
    takes the next free one. If there are more names than pens, some share one.
    """
    names = sorted(set(names), key=lambda name: (name not in STRATEGIES, name))
    variants = [name for name in names if strategy_of(name) != BASELINE]
    taken: dict[str, Pen] = {}
    if len(variants) > ALIKE and len({*map(strategy_of, variants)}) == 1:
        pens_in_turn = zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES))
        taken = {name: Pen(*pen) for name, pen in zip(variants, pens_in_turn, strict=False)}
    own = colours(sorted({*map(strategy_of, variants)}, key=lambda name: (place_of(name), name)))
    for name in names:
        shifted = map(partial(pen_of, name), range(len(COLOURS) * TURN))
        coloured = (pen._replace(colour=own.get(strategy_of(name), pen.colour)) for pen in shifted)
        taken.setdefault(name, next((pen for pen in coloured if pen not in taken.values()), pen_of(name)))
    return taken


def colours(strategies: Sequence[str]) -> dict[str, str]:
    """A colour for every strategy of a figure: its own, or the next free one if an earlier strategy has that.

    If there are more strategies than colours, all have their own, and markers tell them apart.
    """
    chosen: dict[str, str] = {}
    for strategy in strategies:
        own = COLOURS.index(pen_of(strategy).colour)
        free = [colour for colour in (*COLOURS[own:], *COLOURS[:own]) if colour not in chosen.values()]
        chosen[strategy] = free[0] if len(strategies) <= len(COLOURS) else COLOURS[own]
    return chosen


def strategy_of(curve: str) -> str:
    """The strategy of a curve's name, without its variant."""
    return curve.partition("-")[0]


def place_of(strategy: str) -> int:
    """The place of a strategy's own pen in the turn of colours and markers."""
    return KNOWN.index(strategy) - 1 if strategy in KNOWN else crc32(strategy.encode()) % (len(COLOURS) * TURN)


def pen_of(curve: str, shift: int = 0) -> Pen:
    """A curve's own pen, or the pen `shift` places after it, which has another marker, other dashes, another colour."""
    strategy, _, variant = curve.partition("-")
    place = place_of(strategy)
    other = 1 + crc32(variant.encode()) % (len(DASHES) - 1) if variant else 0
    turns = place // len(MARKERS) + other + shift // len(MARKERS)
    dashes = DASHES[turns % len(DASHES)]
    if strategy == BASELINE and shift < len(DASHES):
        return Pen(BLACK, "", DASHES[(other + shift) % len(DASHES)])
    return Pen(COLOURS[(place + shift // TURN) % len(COLOURS)], MARKERS[(place + shift) % len(MARKERS)], dashes)


def sheet() -> AbstractContextManager[None]:
    """A context with the style sheet on matplotlib's own defaults; the user's matplotlibrc is ignored."""
    return matplotlib.style.context(["default", str(SHEET)])
