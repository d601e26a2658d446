"""The table of errors as LaTeX, for a column of a paper."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.paired import LEVEL
from al_runner.analysis.stats.results import results
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.metrics import Metric
from al_runner.analysis.tell.text import PLAIN, seconds, short_p
from al_runner.errors import UsageError
from al_runner.system.text import counted

Row = Mapping[Any, Any]
DEFAULT = ("final", "area", "final_gap")
LABEL = re.compile(r"[^A-Za-z0-9:._-]")  # characters that a label may not have
LONG = 20  # characters: a longer name is broken into lines
SPECIAL = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "<": "$<$", ">": "$>$"}


@dataclass(frozen=True)
class Column:
    """A column of the table: its head, and a row's cell."""

    head: str  # {} stands for the metric
    cell: Callable[[Row, Metric], str]
    best: str = ""  # the measure whose lowest mean is bold; empty for none


def _mean(name: str, gap: bool = False) -> Callable[[Row, Metric], str]:
    def cell(row: Row, metric: Metric) -> str:
        mean, half = metric.scale * row[name], metric.scale * row[f"{name}_half"]
        digits = 2 if metric.share else PLAIN
        if isnan(mean):
            return "--"
        mark = ("^{*}" if row[f"{name}_p"] < LEVEL else r"\phantom{^{*}}") if gap else ""
        shown = f"{mean:{'+' if gap else ''}.{digits}f}"
        return f"${shown}{mark}$" if isnan(half) else rf"${shown}\,{{\pm}}\,{half:.{digits}f}{mark}$"

    return cell


def _p(name: str) -> Callable[[Row, Metric], str]:
    return lambda row, _: short_p(row[name]).replace("<", "$<$") if not isnan(row[name]) else "--"


COLUMNS = {
    "rank": Column("Rank", lambda row, _: "--" if pd.isna(row["rank"]) else str(row["rank"])),
    "n": Column("Seeds", lambda row, _: str(row["seeds"])),
    "labels": Column("Labels", lambda row, _: f"{row['labelled']:,}"),
    "final": Column("Final {}", _mean("final"), "final"),
    "last": Column("Last round", _mean("last"), "last"),
    "area": Column("Mean {}", _mean("area"), "area"),
    "final_gap": Column(r"$\Delta$ final", _mean("final_minus_baseline", gap=True)),
    "final_p": Column("$p$ (final)", _p("final_minus_baseline_p")),
    "area_gap": Column(r"$\Delta$ mean", _mean("area_minus_baseline", gap=True)),
    "area_p": Column("$p$ (mean)", _p("area_minus_baseline_p")),
    "time": Column("Run", lambda row, _: seconds(row["wall_seconds"])),
    "select": Column("Choosing", lambda row, _: seconds(row["select_seconds"])),
}


def chosen(names: str | None) -> tuple[str, ...]:
    """The columns of --columns, which have commas between them. Raises UsageError for an unknown column."""
    wanted = tuple(names.split(",")) if names else DEFAULT
    unknown = [name for name in wanted if name not in COLUMNS]
    if unknown:
        raise UsageError(f"--columns: there is no {', '.join(unknown)}; choose some of {', '.join(COLUMNS)}")
    return wanted


def latex_table(case: Case, names: Names, columns: tuple[str, ...] = DEFAULT) -> str:
    """A LaTeX table with caption and label. It needs the package booktabs, and fits a narrow column if it has few."""
    table = results([case])
    parts = [COLUMNS[name] for name in columns]
    long = max(len(names(curve)) for curve in table["curve"]) > LONG
    first, start = (r"p{0.33\linewidth}", r"\raggedright ") if long else ("l", "")
    lines = [["Strategy", *(part.head.format(case.metric.words) for part in parts)]]
    for row in table.to_dict("records"):
        lines.append([start + escaped(names(str(row["curve"]))), *(_cell(part, row, case) for part in parts)])
    head, *body = (" & ".join(line) + r" \\" for line in lines)
    begin = [r"\begin{table}[t]", r"\centering", rf"\caption{{{caption(case, names, columns)}}}"]
    begin += [
        rf"\label{{tab:{LABEL.sub('-', '-'.join(filter(None, case.key)))}}}",
        r"\smallskip\footnotesize",
        r"\setlength{\tabcolsep}{2.5pt}",
    ]
    tabular = [rf"\begin{{tabular}}{{@{{}}{first}{'r' * len(parts)}@{{}}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*begin, *tabular, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _cell(part: Column, row: Row, case: Case) -> str:
    cell = part.cell(row, case.metric)
    best = bool(part.best) and row["curve"] in case.lowest(part.best)
    return rf"$\mathbf{{{cell.strip('$')}}}$" if best else cell


def caption(case: Case, names: Names, columns: tuple[str, ...]) -> str:
    """What the table shows, in words."""
    late, seeds = len(case.budget.late), {len(case.values(name, "final")) for name in case.parts}
    of = f"over {counted(max(seeds), 'seed')}" if len(seeds) == 1 else "over the seeds"
    final = "that of the last round" if late == 1 else f"the mean of the last {late} rounds"
    metric, axis, percent = case.metric, case.metric.axis, ", in percent" if case.metric.share else ""
    words = [
        f"{axis[0].upper()}{axis[1:]} on {names.title(case.title)} with {case.budget.end:,} labels{percent}: mean and "
        f"half-width of the 95% t interval {of}.",
        f"The final {metric.words} is {final}.",
    ]
    if {"area", "area_gap"} & set(columns):
        words.append(f"The mean {metric.words} is that from {case.budget.start:,} labels on.")
    text = escaped(" ".join(words))
    if {"final_gap", "area_gap"} & set(columns):
        others = len(case.strategies) - 1
        text += rf" $\Delta$: difference to {escaped(names(case.baseline))} {metric.points}, paired by seed;"
        text += rf" $^{{*}}$: $p < {LEVEL:g}$ by a $t$ test with Holm's correction for {counted(others, 'comparison')}."
    if not case.ranked.empty and any(COLUMNS[name].best for name in columns):
        shared = "" if len(seeds) == 1 else ", over the seeds that all ranked strategies share,"
        text += f" The lowest {escaped(metric.words)} of a column{shared} is bold."
    return text


def escaped(text: str) -> str:
    """Plain text with LaTeX's special characters escaped."""
    return "".join(SPECIAL.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
