"""The parts of a figure around its curves: axes, ticks, legend and title."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from al_runner.analysis.draw.look import LABELLED, NARROW, Look
from al_runner.analysis.draw.style import TRUTH, Picture
from al_runner.analysis.stats.curves import Curve

HEIGHT, LOW = 2.5, 2.2  # inches of a row of panels without legend and title; LOW in narrow figures and with more rows
MOST_TICKED = 20  # up to this many rounds, ticks are at the rounds' label counts; beyond, at round numbers


def canvas(look: Look, rows: int = 1, columns: int = 1) -> tuple[Picture, list[Axes]]:
    """A figure and its panels, row by row."""
    height = LOW if look.width < NARROW or rows > 1 else HEIGHT
    figure = Picture(figsize=(look.width, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def dress(axes: Axes, lines: Sequence[Curve], span: tuple[int, int], log: bool = False) -> None:
    """Draw the grid, and set the ticks of the x axis; `log` makes the y axis logarithmic."""
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axes.set_xlabel(LABELLED)
    counts = np.unique(np.concatenate([line.labelled for line in lines]))
    counts = counts[(counts >= span[0]) & (counts <= span[1])]
    wide = axes.figure.get_figwidth() * axes.get_position().width  # type: ignore[union-attr]
    most = max(3, int(wide / 0.55))
    every = -(-len(counts) // most)
    rounds = FixedLocator([float(count) for count in counts[::every]])
    axes.xaxis.set_major_locator(rounds if len(counts) <= MOST_TICKED else MaxNLocator(min(most, 6), integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if log:
        axes.set_yscale("log", nonpositive="clip")


def log_limits(axes: Axes, lowest: float, highest: float) -> None:
    """Set a logarithmic y axis between these values, with readable ticks."""
    low = lowest if lowest > 0 else 1.0
    limits = low / 1.05, max(highest, low) * 1.05
    axes.set_ylim(limits)
    narrow = limits[1] < 5 * limits[0]  # 1, 2 and 5 might all lie outside
    axes.yaxis.set_major_locator(MaxNLocator(5) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def broken(name: str, most: int) -> str:
    """A name in lines of at most `most` characters, broken after `-`, `_` and spaces; a longer part stays whole."""
    lines = [""]
    for part in re.split(r"(?<=[-_ ])", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > most:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines)


def finish(figure: Picture, panels: Sequence[Axes], look: Look, note: str, more: Sequence[Line2D] = ()) -> Picture:
    """Add the title above and the legend below. The figure grows for them, so panels keep their height.

    The legend has every label once, with ground truth and `more` last. `note` says how many seeds are drawn, and how.
    """
    handles: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    handles = dict(sorted(handles.items(), key=lambda item: item[1].get_color() == TRUTH))
    handles |= {str(handle.get_label()): handle for handle in more}
    for most in range(min(4, len(handles)), 0, -1):  # as many columns as fit the figure's width
        columns = -(-len(handles) // -(-len(handles) // most))  # fewer columns, if that takes no more rows
        legend = figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=columns,
            handlelength=2.8,
            columnspacing=1.4,
            title=note,
            title_fontsize=8,
        )
        box = legend.get_window_extent()
        if columns == 1 or box.width <= figure.bbox.width:
            break
        legend.remove()
    title = 0.0
    if look.title:
        figure.suptitle(look.title, fontsize=10)
        title = 0.25
    figure.set_figheight(figure.get_figheight() + box.height / figure.dpi + title)
    return figure
