"""The critical-difference diagram: average ranks on a line, with bars that join what can't be told apart.

scikit-posthocs draws one, too, but it brings seaborn and statsmodels along, which take seconds to import.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isnan

import pandas as pd
from matplotlib.axes import Axes

from al_runner.analysis.draw.frame import broken
from al_runner.analysis.draw.look import NARROW, Look
from al_runner.analysis.draw.style import Picture, pens, sheet
from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.over_cases import average_ranks, ranks_over_seeds
from al_runner.analysis.table.files import stem
from al_runner.analysis.table.metrics import stem_of

STEP, CLIQUE = 0.62, 0.3  # distances of two names, and of two bars, in units of the vertical axis
LINE = 0.45  # one more line of a name
A_SIDE = 3.8  # characters of a name for every inch of the figure's width
INCHES = 0.32  # of one unit
ABOVE = 1.8  # units above the line of ranks
FEWEST = 3  # curves of a diagram
INK, SOFT = "#000000", "#555555"


def critical_differences(case_list: Sequence[Case], look: Look | None = None) -> Iterator[tuple[str, Picture]]:
    """`critical_difference` with the file's name without suffix: of all cases, or of each one if there are too few.

    Over all cases the ranks are of each case's mean final error. Of one case they are of the final errors of each seed.
    There is no diagram of fewer than FEWEST curves.
    """
    look = look or Look()
    table = average_ranks(case_list)
    if len(table) >= FEWEST:
        own = replace(look, metric=case_list[0].metric)
        yield stem_of(own.metric, "compare") + "_critical_difference", critical_difference(table, "cases", own)
        return
    for case in case_list:
        table = ranks_over_seeds(case)
        if len(table) >= FEWEST:
            what = stem_of(case.metric, "compare") + "_critical_difference"
            name = stem(what, case.key if len(case_list) > 1 else ())
            titled = replace(look, title=look.title or look.names.title(case.title), metric=case.metric)
            yield name, critical_difference(table, "seeds", titled)


def critical_difference(table: pd.DataFrame, blocks: str, look: Look | None = None) -> Picture:
    """The diagram of Demsar (2006, figure 1) for a table of `average_ranks`; the best rank is at the left.

    A bar joins curves whose ranks differ by less than Nemenyi's critical difference at 5%. `blocks` names what the
    ranks are averaged over.
    """
    look = look or Look()
    ranks = [float(rank) for rank in table["rank"]]
    critical = float(table["critical_difference"].iloc[0])
    bars = cliques(ranks, critical)
    first = 0.45 + CLIQUE * len(bars)  # the depth of the first name
    names = [broken(look.names(str(name)), int(A_SIDE * look.width)) for name in table["curve"]]
    step = STEP + LINE * max(name.count("\n") for name in names)
    depth = first + step * -(-len(ranks) // 2)
    with sheet():
        height = INCHES * (depth + ABOVE) + (0.7 if look.title else 0.45)
        figure = Picture(figsize=(look.width, height), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_xlim(1, max(2, len(ranks)))
        axes.set_ylim(depth, -ABOVE)
        _ruler(axes, len(ranks), critical)
        _names(axes, table, names, first, step)
        for place, (start, end) in enumerate(bars):
            ends, at = [ranks[start] - 0.03, ranks[end] + 0.03], 0.35 + CLIQUE * place
            axes.plot(ends, [at, at], color=INK, linewidth=3, solid_capstyle="butt", clip_on=False)
        figure.supxlabel("\n".join(_caption(table, blocks, look)), fontsize=8)
        if look.title:
            figure.suptitle(look.title, fontsize=10)
    return figure


def _names(axes: Axes, table: pd.DataFrame, names: Sequence[str], first: float, step: float) -> None:
    """Every curve's name and rank, `step` below each other, the better half at the left, joined to its rank."""
    count = len(table)
    colours = {name: pen.colour for name, pen in pens(table["curve"]).items()}
    half = -(-count // 2)
    for place, (name, rank, shown) in enumerate(zip(table["curve"], table["rank"], names, strict=True)):
        left = place < half
        edge, at = (1.0 if left else max(2, count)), first + step * ((place if left else count - 1 - place) + 0.5)
        axes.plot([rank, rank, edge], [0, at, at], color=colours[name], linewidth=1.0, clip_on=False)
        axes.annotate(
            f"{shown} {rank:.2f}" if left else f"{rank:.2f} {shown}",
            (edge, at),
            (-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8,
        )


def _caption(table: pd.DataFrame, blocks: str, look: Look) -> list[str]:
    p = float(table["friedman_p"].iloc[0])
    friedman = [] if isnan(p) else [f"Friedman {'p < 0.001' if p < 0.001 else f'p = {p:.2g}'}"]
    ranked = f"average rank of the final {look.metric.words} over {table['cases'].iloc[0]} {blocks}, 1 is best"
    joined = "a bar joins strategies", "that Nemenyi's test at 5% does not tell apart"
    if look.width >= NARROW:
        return ["; ".join([ranked, *friedman]), " ".join(joined)]
    return [ranked, *friedman, *joined]


def cliques(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """First and last place of every largest group of ascending ranks that differ by less than `critical`."""
    groups: list[tuple[int, int]] = []
    for start in range(len(ranks)):
        near = (place for place in range(start, len(ranks)) if ranks[place] - ranks[start] < critical)
        end = max(near, default=start)
        if end > start and (not groups or end > groups[-1][1]):
            groups.append((start, end))
    return groups


def _ruler(axes: Axes, count: int, critical: float) -> None:
    """The line of ranks with its numbers, and the critical difference above it."""
    last = max(2, count)
    axes.plot([1, last], [0, 0], color=INK, linewidth=1.0, clip_on=False)
    every = 1 if count <= 12 else 2
    for rank in range(1, last + 1, every):
        axes.plot([rank, rank], [0, -0.15], color=INK, linewidth=1.0, clip_on=False)
        axes.annotate(f"{rank}", (rank, -0.2), ha="center", va="bottom", fontsize=8)
    end = min(1 + critical, last)
    axes.plot([1, end], [-1.1, -1.1], color=SOFT, linewidth=1.5, clip_on=False)
    for at in (1, end):
        axes.plot([at, at], [-1.2, -1.0], color=SOFT, linewidth=1.5, clip_on=False)
    more = " (longer than the line)" if 1 + critical > last else ""
    axes.annotate(
        f"critical difference {critical:.2f}{more}", (1, -1.3), ha="left", va="bottom", fontsize=8, color=SOFT
    )
