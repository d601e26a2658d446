"""The forest plot: every strategy's difference to the baseline, as a point with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from al_runner.analysis.draw.frame import broken
from al_runner.analysis.draw.look import NARROW, Look, in_order
from al_runner.analysis.draw.style import Picture, sheet
from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.paired import LEVEL
from al_runner.analysis.stats.results import results
from al_runner.analysis.table.files import stem
from al_runner.analysis.table.metrics import Metric, stem_of
from al_runner.errors import UsageError
from al_runner.system.text import counted

BETTER, UNCLEAR, WORSE = "#0072B2", "#555555", "#D55E00"
A_ROW = 4.5  # characters of a name for every inch of the figure's width; a longer name has more lines
FAR = 4.0  # a strategy this many times farther out than the median one is drawn as an arrow at the edge


def forests(case_list: Sequence[Case], look: Look | None = None) -> Iterator[tuple[str, Picture]]:
    """`forest` of every case in which a curve is paired with the baseline, with the file's name without suffix.

    If `look` has no title, the case's title is used.
    """
    look = look or Look()
    for case in case_list:
        table = results([case])
        if (table["pairs"] > 0).any():
            titled = replace(
                look.within(case.parts), title=look.title or look.names.title(case.title), metric=case.metric
            )
            yield (
                stem(stem_of(case.metric, "compare") + "_forest", case.key if len(case_list) > 1 else ()),
                forest(table, case.baseline, titled),
            )


def forest(table: pd.DataFrame, baseline: str, look: Look | None = None) -> Picture:
    """Final and mean error minus the baseline's, paired by seed, for one case's rows of `results`, best first.

    Points are means, and bars are 95% t intervals of single comparisons. A filled mark in blue or orange is significant
    at 5% after Holm's correction for all comparisons with the baseline; an open grey mark is not. Raises UsageError if
    no curve shares a seed with the baseline.
    """
    look = look or Look()
    rows = table[table["pairs"] > 0].sort_values("final_minus_baseline", kind="stable").set_index("curve")
    if rows.empty:
        raise UsageError(f"no difference to draw: nothing shares a seed with {baseline}; run both, or give --baseline")
    without = {baseline, *table["curve"]}.difference(rows.index)  # curves without a difference to draw
    rows = rows.loc[in_order(rows.index, [name for name in look.order if name not in without])]
    rounds = int(rows["final_rounds"].max())
    words = look.metric.words
    final = f"final {words}" if rounds == 1 else f"final {words} (last {rounds} rounds)"
    panels = (("final", final), ("area", f"mean {words} over the budget"))
    bracketed = rows["pairs"].nunique() > 1
    shown = [f"{look.names(str(row.Index))}{f' ({row.pairs})' if bracketed else ''}" for row in rows.itertuples()]
    names = [broken(name, int(A_ROW * look.width)) for name in shown]
    lines = max(name.count("\n") + 1 for name in names)
    with sheet():
        shape = (1, 2) if look.width >= NARROW else (2, 1)
        height = (0.3 + 0.17 * lines * len(rows)) * shape[0] + (0.95 if look.title else 0.7)
        figure = Picture(figsize=(look.width, height), layout="constrained")
        for axes, (measure, label) in zip(figure.subplots(*shape, sharey=True).flat, panels, strict=True):
            _draw(axes, rows, f"{measure}_minus_baseline", look.metric)
            axes.set_title(label, color="#333333")
            axes.set_yticks(np.arange(len(rows)), names)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        axes.set_ylim(len(rows) - 0.4, -0.6)  # the first row at the top, half a row of margin
        figure.supxlabel("\n".join(_caption(rows, look, baseline, bracketed)), fontsize=8)
        if look.title:
            figure.suptitle(look.title, fontsize=10)
    return figure


def _caption(rows: pd.DataFrame, look: Look, baseline: str, bracketed: bool) -> list[str]:
    pairs = "seeds in brackets" if bracketed else counted(int(rows["pairs"].iloc[0]), "seed")
    words = [
        f"difference to {look.names(baseline)} {look.metric.points}, paired by seed ({pairs}); left of 0 is better"
    ]
    compared = counted(len(rows), "comparison")
    words += [f"filled: p < {LEVEL:g} after Holm's correction for {compared}; bars: 95% t interval of each"]
    return words if look.width >= NARROW else [part for line in words for part in line.split("; ")]


def _draw(axes: Axes, rows: pd.DataFrame, column: str, metric: Metric) -> None:
    digits = 1 if metric.share else 3
    mean, half = (metric.scale * rows[f"{column}{kind}"].to_numpy(float) for kind in ("", "_half"))
    sure = rows[f"{column}_p"].to_numpy(float) < LEVEL  # false for NaN
    low, high = _limits(mean, np.nan_to_num(half), 1e-3 * metric.scale)
    axes.axvline(0, color="#000000", linewidth=1.0)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    for at, (x, reach, clear) in enumerate(zip(mean, half, sure, strict=True)):
        colour = (BETTER if x < 0 else WORSE) if clear else UNCLEAR
        fill = colour if clear else "white"
        if abs(x) + np.nan_to_num(reach) <= max(-low, high):
            bar = None if np.isnan(reach) else reach
            axes.errorbar(x, at, xerr=bar, fmt="o", color=colour, markerfacecolor=fill, markersize=4)
            continue
        edge, side = (high, "right") if x > 0 else (low, "left")
        marker = ">" if x > 0 else "<"
        axes.plot(edge, at, marker=marker, color=colour, markerfacecolor=fill, markersize=5, clip_on=False)
        shown = f"{x:+.{digits}f}" if np.isnan(reach) else f"{x:+.{digits}f} ± {reach:.{digits}f}"
        axes.annotate(
            shown,
            (edge, at),
            (-6 if x > 0 else 6, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # hides the line at 0 behind it
        )
    axes.set_xlim(low, high)


def _limits(mean: NDArray[np.float64], width: NDArray[np.float64], least: float) -> tuple[float, float]:
    """The smallest and largest difference that is drawn to scale: 0 and all intervals lie between, except far ones.

    They are at least `least` apart, and a margin.
    """
    near = np.abs(mean) + width <= FAR * np.median(np.abs(mean) + width)
    edges = np.concatenate([[0.0], (mean - width)[near], (mean + width)[near]])
    span = edges.max() - edges.min()
    margin = 0.08 * max(span, least) if span else least
    return float(edges.min() - margin), float(edges.max() + margin)
