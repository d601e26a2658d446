"""The forest plot: every strategy's difference to the baseline as a point with its interval, for many strategies."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from al_runner.analysis.draw.figures import WIDTH
from al_runner.analysis.draw.style import sheet
from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.results import results
from al_runner.analysis.table.files import stem
from al_runner.errors import UsageError

BETTER, UNCLEAR, WORSE = "#0072B2", "#555555", "#D55E00"
PANELS = (("final", "final error"), ("area", "mean error over the budget"))
FAR = 4.0  # what lies so many times farther out than the median strategy is drawn as an arrow at the edge


def forests(found: Sequence[Case]) -> Iterator[tuple[str, Figure]]:
    """`forest` of every case in which something is paired with the baseline, with its file's name, without suffix."""
    for case in found:
        table = results([case])
        if (table["pairs"] > 0).any():
            names = case.key if len(found) > 1 else ()
            yield stem("compare_forest", names), forest(table, case.baseline, case.title)


def forest(table: pd.DataFrame, baseline: str, title: str = "") -> Figure:
    """Final and mean error minus the baseline's, paired by seed, of one case's rows of `compare.results`, best first.

    Points are means, bars 95% t intervals; blue and orange are those that leave out 0. UsageError where nothing shares
    a seed with the baseline.
    """
    rows = table[table["pairs"] > 0].sort_values("final_minus_baseline", kind="stable")
    if rows.empty:
        raise UsageError(f"no difference to draw: nothing shares a seed with {baseline}; run both, or give --baseline")
    place = np.arange(len(rows))
    with sheet():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.19 * len(rows)), layout="constrained")
        for axes, (measure, label) in zip(figure.subplots(1, 2, sharey=True), PANELS, strict=True):
            mean, half = (100 * rows[f"{measure}_minus_baseline{kind}"].to_numpy(float) for kind in ("", "_half"))
            _draw(axes, place, mean, half)
            axes.set_title(label, color="#333333")
            axes.set_yticks(place, [f"{row.curve} ({row.pairs})" for row in rows.itertuples()])
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        axes.set_ylim(len(rows) - 0.4, -0.6)  # the first row at the top, half a row of margin
        figure.supxlabel(f"difference to {baseline}, points; paired by seed (pairs); left of 0 is better", fontsize=9)
        if title:
            figure.suptitle(title, fontsize=10)
    return figure


def _draw(axes: Axes, place: NDArray[np.int_], mean: NDArray[np.float64], half: NDArray[np.float64]) -> None:
    width = np.nan_to_num(half)
    near = np.abs(mean) + width <= FAR * np.median(np.abs(mean) + width)
    edges = np.concatenate([[0.0], (mean - width)[near], (mean + width)[near]])
    margin = 0.08 * max(edges.max() - edges.min(), 0.1)
    low, high = edges.min() - margin, edges.max() + margin
    axes.axvline(0, color="#000000", linewidth=1.0)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    for at, x, reach in zip(place, mean, half, strict=True):
        colour = BETTER if x + reach < 0 else WORSE if x - reach > 0 else UNCLEAR
        if abs(x) + np.nan_to_num(reach) <= max(-low, high):
            axes.errorbar(x, at, xerr=None if np.isnan(reach) else reach, fmt="o", color=colour, markersize=3.5)
            continue
        edge, side = (high, "right") if x > 0 else (low, "left")
        axes.plot(edge, at, marker=">" if x > 0 else "<", color=colour, markersize=5, clip_on=False)
        shown = f"{x:+.1f}" if np.isnan(reach) else f"{x:+.1f} ± {reach:.1f}"
        axes.annotate(
            shown, (edge, at), (-6 if x > 0 else 6, 0), textcoords="offset points", ha=side, va="center", fontsize=7
        )
    axes.set_xlim(low, high)
