"""The pictures: strategies against each other, and a single run."""

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from al_runner.analysis.curves import Curve, automatic_split, curves
from al_runner.analysis.files import save
from al_runner.analysis.runs import curve_names, read_run, table
from al_runner.errors import UsageError

# Okabe & Ito (2008); black first for the baseline, yellow last because it is faint on white.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "-", (0, (7, 1.2)), (0, (7, 1, 1.2, 1)), (0, (1.5, 0.8)))
TRUTH = "#555555"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
}
ERROR = "test error (%)"
LOWEST = "lowest test error so far{}\n(a running minimum)"


def compare(
    runs: pd.DataFrame, best: bool = False, split: int | None = None, log: bool = False, title: str = ""
) -> Figure:
    """Every strategy of one combination: mean test error in percent with its 95% band against labelled images.

    Early rounds left, later ones right with a scale of their own; one panel where there are under six rounds.
    `best` draws the running minimum instead. UsageError where there is no curve, or `split` leaves a panel empty.
    """
    found = curves(runs, "best_test_error" if best else "test_error")
    lines = [curve for curve in found if not curve.truth]
    truths = [curve for curve in found if curve.truth]
    if not lines:
        raise UsageError("no curve to draw: there is no strategy but full; run another one, e.g. strategy=random")
    panels = _panels(lines, split)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 3.2), layout="constrained")
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (low, high), heading in zip(all_axes, panels, _headings(panels), strict=True):
            _draw_truths(axes, truths)
            _draw_lines(axes, lines, low, high)
            _dress(axes, log)
            _limit(axes, found, low, high, log)
            axes.set_title(heading, color="#333333")
            axes.set_xlabel("labelled images")
        all_axes[0].set_ylabel(LOWEST.format(" (%)") if best else ERROR)
        _legend(figure, all_axes[0], len(truths))
        if title:
            figure.suptitle(title, fontsize=10)
    return figure


def draw_run(folder: Path) -> Path:
    """Draw one run's errors in percent against labelled images into `folder`/curve.png, and return that path."""
    rows = read_run(Path(folder), Path(folder))
    if not rows:
        raise UsageError(f"{folder} has no finished round to draw yet; wait for the first")
    run = table(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5, 3.4), layout="constrained")
        axes = figure.subplots()
        marker = "o" if len(run) == 1 else ""  # full: a single round is no line
        shown = (
            ("val_error", "validation error", {"color": "#888888", "linewidth": 0.6}),
            ("best_test_error", LOWEST.format(""), {"color": "#000000", "linestyle": "--"}),
            ("test_error", "test error", {"color": "#0072B2"}),
        )
        for column, label, look in shown:
            axes.plot(run["labelled"], 100 * run[column], label=label, marker=marker, markersize=5, **look)
        _dress(axes, log=False)
        axes.set_ylim(bottom=0)
        axes.set(xlabel="labelled images", ylabel="error (%)")
        axes.set_title(f"{run['dataset'][0]}, {run['model'][0]}: {curve_names(run)[0]}, seed {run['seed'][0]}")
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return save(figure, Path(folder) / "curve.png")


def _panels(lines: Sequence[Curve], split: int | None) -> list[tuple[int, int]]:
    """Label counts from and to, of every panel."""
    low, high = min(int(c.labelled[0]) for c in lines), max(int(c.labelled[-1]) for c in lines)
    if split is not None and not low < split < high:
        raise UsageError(f"--split is {split}; the curves go from {low} to {high} labels, so choose one in between")
    at = automatic_split(lines) if split is None else split
    return [(low, high)] if at is None else [(low, at), (at, high)]


def _headings(panels: Sequence[tuple[int, int]]) -> list[str]:
    if len(panels) == 1:
        return [""]
    return [f"up to {panels[0][1]:,} labels", f"from {panels[1][0]:,} labels (own scale)"]


def _draw_lines(axes: Axes, lines: Sequence[Curve], low: int, high: int) -> None:
    for place, curve in enumerate(lines, start=0 if lines[0].name == "random" else 1):
        colour = COLOURS[0 if place == 0 else 1 + (place - 1) % (len(COLOURS) - 1)]
        label = f"{curve.name} (n = {curve.seeds})"
        mean, half = 100 * curve.mean, 100 * curve.half
        if curve.seeds > 1:
            axes.fill_between(
                curve.labelled, mean - half, mean + half, color=colour, alpha=min(0.15, 0.6 / len(lines)), linewidth=0
            )
        axes.plot(
            curve.labelled,
            mean,
            label=label,
            color=colour,
            linestyle=DASHES[place % len(DASHES)],
            marker=MARKERS[place % len(MARKERS)] if len(mean) > 1 else "o",
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            markevery=_sparse(curve, low, high, place / len(lines)),
        )


def _sparse(curve: Curve, low: int, high: int, shift: float) -> list[int]:
    """Indices of up to six rounds in the panel, shifted so that curves don't put their markers in one place."""
    inside = np.flatnonzero((curve.labelled >= low) & (curve.labelled <= high))
    if len(inside) <= 6:
        return [int(i) for i in inside]
    places = (np.arange(6) + 0.1 + 0.8 * shift) / 6 * (len(inside) - 1)
    return [int(inside[round(place)]) for place in places]


def _draw_truths(axes: Axes, truths: Sequence[Curve]) -> None:
    """Ground truth: what training on every label gives."""
    for curve, dashes in zip(truths, islice(cycle(((0, (4, 3)), (0, (1, 2)))), len(truths)), strict=True):
        variant = curve.name.removeprefix("full").removeprefix("-")
        label = f"full training set{', ' if variant else ''}{variant} (n = {curve.seeds})"
        mean, half = 100 * curve.mean[-1], 100 * curve.half[-1]
        if curve.seeds > 1:
            axes.axhspan(mean - half, mean + half, color=TRUTH, alpha=0.12, linewidth=0)
        axes.axhline(mean, color=TRUTH, linestyle=dashes, linewidth=1, label=label)


def _dress(axes: Axes, log: bool) -> None:
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if log:
        axes.set_yscale("log", nonpositive="clip")


def _limit(axes: Axes, found: Sequence[Curve], low: int, high: int, log: bool) -> None:
    """Fit the panel to its means, and to their bands as far as these leave the means readable."""
    inside = [
        (c.mean[keep], np.nan_to_num(c.half[keep]))
        for c in found
        for keep in [np.ones_like(c.mean, dtype=bool) if c.truth else (c.labelled >= low) & (c.labelled <= high)]
    ]
    mean, half = (100 * np.concatenate(part) for part in zip(*inside, strict=True))
    bottom, top = float(mean.min()), float(mean.max())
    room = max(top - bottom, 0.02 * top, 0.01)  # a single or constant curve still wants some height
    lowest = max(float((mean - half).min()), bottom - room / 2)
    highest = min(float((mean + half).max()), top + room / 2)
    margin = 0.03 * (high - low) or 1
    axes.set_xlim(low - margin, high + margin)
    if log:
        positive = float(mean[mean > 0].min(initial=top)) or 1.0
        limits = max(lowest, positive / 2) / 1.05, max(highest, positive) * 1.05
        axes.set_ylim(limits)
        narrow = limits[1] < 5 * limits[0]  # 1, 2 and 5 might all lie outside
        axes.yaxis.set_major_locator(MaxNLocator(5) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(max(0.0, lowest - 0.05 * room), highest + 0.05 * room)


def _legend(figure: Figure, axes: Axes, truths: int) -> None:
    """Below the panels, where it can't cover a curve; ground truth last."""
    handles, labels = axes.get_legend_handles_labels()
    handles, labels = handles[truths:] + handles[:truths], labels[truths:] + labels[:truths]
    columns = min(3, len(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, handlelength=3.2)
