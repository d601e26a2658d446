"""The look of a curve. Colour, marker and dashes differ between curves, so that they also differ without colour.

A strategy looks the same in every figure and page. Those of `table/display.py` take colours and markers in turn, which
gives 117 different pairs. For another strategy, a checksum of its name chooses them. A variant (or a learner, if
learners are compared) has the colour and the marker of its strategy, but other dashes.
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
# The numbers of colours and markers share no divisor, so their pairs repeat late.
# Okabe & Ito (2008); in place of their yellow, faint on white, the olive, wine and indigo of Tol (2021).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#882255", "#999933", "#332288")
MARKERS = (
    "o",
    "s",
    "^",
    "D",
    "v",
    "P",
    "X",
    "<",
    ">",
    "p",
    "h",
    "d",
    "*",
)
