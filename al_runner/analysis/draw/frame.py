"""What a figure has around its curves: axes, ticks, legend and title."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from al_runner.analysis.draw.look import LABELLED, NARROW, Look
from al_runner.analysis.draw.style import TRUTH, Picture
from al_runner.analysis.stats.curves import Curve

HEIGHT, LOW = 2.5, 2.2  # inches of a row of panels, legend and title not counted; of a narrow figure
MOST_TICKED = 20  # rounds of a panel whose counts are ticks; of more, round numbers are


def canvas(look: Look, rows: int = 1, columns: int = 1) -> tuple[Picture, list[Axes]]:
    """A figure and its panels, row by row."""
    height = LOW if look.width < NARROW or rows > 1 else HEIGHT
    figure = Picture(figsize=(look.width, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def dress(axes: Axes, lines: Sequence[Curve], span: tuple[int, int], log: bool = False) -> None:
    """Grid, and ticks at rounds."""
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
    """A logarithmic axis from and to these values, with ticks to read."""
    low = lowest if lowest > 0 else 1.0
    limits = low / 1.05, max(highest, low) * 1.05
    axes.set_ylim(limits)
    narrow = limits[1] < 5 * limits[0]  # 1, 2 and 5 might all lie outside
    axes.yaxis.set_major_locator(MaxNLocator(5) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def finish(figure: Picture, panels: Sequence[Axes], look: Look, note: str, more: Sequence[Line2D] = ()) -> Picture:
    """Title above and legend below, for which the figure grows: panels keep their height however many curves there are.

    Every label stands once, ground truth and `more` last; `note` says what is drawn of how many seeds.
    """
    held: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            held.setdefault(label, handle)
    held = dict(sorted(held.items(), key=lambda item: item[1].get_color() == TRUTH))
    held |= {str(handle.get_label()): handle for handle in more}
    for most in range(min(4, len(held)), 0, -1):  # the most that the figure is wide enough for
        columns = -(-len(held) // -(-len(held) // most))  # fewer where that takes no more rows
        legend = figure.legend(
            held.values(),
            held.keys(),
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
