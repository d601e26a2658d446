"""Collects the parts of the page from a folder, and writes the page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, select_autoescape

from al_runner.analysis.draw.style import pens
from al_runner.analysis.report.checklist import checklist
from al_runner.analysis.report.confused import Matrix, matrices
from al_runner.analysis.report.evidence import WARNING, Check
from al_runner.analysis.report.images import Images
from al_runner.analysis.report.made import made_sheets
from al_runner.analysis.report.sheets import contact_sheet
from al_runner.analysis.report.source import Source, case_images, purchase_measures
from al_runner.analysis.report.views import bought_views, error_views, time_views, view_data
from al_runner.analysis.stats.case import Case
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.names import case_words, curve_names
from al_runner.analysis.tell.shown import Shown
from al_runner.analysis.tell.text import seconds
from al_runner.analysis.tell.verdict import all_gaps, verdict

HERE = Path(__file__).parent


def page(source: Source) -> str:
    """The report as one HTML document that needs no network."""
    cases, names = source.comparison.cases, source.names
    tables = source.comparison.shown(names)
    checks = checklist(source.evidence)
    sections = [section(source, place, tables) for place in range(len(cases))]
    escape = select_autoescape(["jinja"])
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=escape, trim_blocks=True)
    return environment.get_template("page.html.jinja").render(
        title=source.directory.resolve().name,
        question=question(cases, names),
        sections=sections,
        gaps=[*source.missing, *all_gaps(cases), *source.evidence.unlike],
        overall=[table for table in tables if not table.where],
        checks=checks,
        counts=_counts(checks),
        provenance=origins(source.starts),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data=_json({"charts": {name: chart for part in sections for name, chart in part["charts"].items()}}),
        sheets=_json([part["sheet"] for part in sections if isinstance(part["sheet"], dict)]),
    )


def question(cases: Sequence[Case], names: Names) -> str:
    """The question that the folder's runs can answer."""
    where = "; ".join(f"{case.title}, {case.budget.end:,} labels" for case in cases)
    error, strategies = cases[0].metric.axis, {name for case in cases for name in case.parts}
    if len(strategies) == 1:
        return f"How does the {error} of {names(*strategies)} change with the labels? ({where})"
    return (
        f"Which of {len(strategies)} strategies gives the lowest {error} for a labelling budget, how sure is that, "
        f"and how many labels does it save compared to {names(cases[0].baseline)}? ({where})"
    )


def section(source: Source, place: int, tables: Sequence[Shown]) -> dict[str, Any]:
    """All that the page says about one case."""
    case = source.comparison.cases[place]
    title = case_words(case.key)
    pen = pens(case.parts)
    runs = drawn(case)
    images = case_images(source, case)
    measured = purchase_measures(source, runs, images if isinstance(images, Images) else None)
    charts = {
        f"errors{place}": [view_data(view, pen, source.names) for view in error_views(case, runs, source.names)],
        f"bought{place}": [view_data(view, pen, source.names) for view in bought_views(measured)],
        f"time{place}": [view_data(view, pen, source.names) for view in time_views(runs)],
    }
    sheet = contact_sheet(source, case, images) if isinstance(images, Images) else None
    titles = {
        row["folder"]: f"{source.names(row['curve'])}, seed {row['seed']}" for row in case.each.to_dict("records")
    }
    return {
        "place": place,
        "title": title,
        "verdict": verdict(case, source.names),
        "validated": source.evidence.validated_on(case),
        "charts": {name: views for name, views in charts.items() if views},
        "tables": [table for table in tables if table.where == title],
        "confused": confused(source, case, runs, images.classes if isinstance(images, Images) else ()),
        "time": spent(case, source.names),
        "sheet": sheet,
        "made": made_sheets(source.directory, titles),
        "no_images": images if isinstance(images, str) else "",
        "runs": [run["title"] for run in sheet["runs"]] if sheet else [],
    }


def confused(source: Source, case: Case, runs: pd.DataFrame, classes: Sequence[str]) -> list[Matrix]:
    """The confusion matrices of a case's curves; that of the curve that ends lowest is shown at once."""
    names = {name: source.names(name) for name in case.parts}
    best = str(case.ranked.index[0]) if len(case.ranked) else ""
    return matrices(runs, source.confusions, names, classes, best)


def drawn(case: Case) -> pd.DataFrame:
    """The rows of finished runs; if a curve has no finished run, the rows of all its runs."""
    names = curve_names(case.runs)
    return pd.concat([part if len(part) else case.runs[names == name] for name, part in case.parts.items()])


def spent(case: Case, names: Names) -> list[dict[str, Any]]:
    """The time that a run takes, as medians over finished runs: as text, and as widths in percent of the longest."""
    totals = {
        name: part.groupby("seed")[["fit_seconds", "select_seconds"]].sum().median()
        for name, part in case.parts.items()
        if len(part)
    }
    longest = max((float(total.sum()) for total in totals.values()), default=0.0) or 1.0
    return [
        {
            "name": names(name),
            "fit": seconds(float(total["fit_seconds"])),
            "select": seconds(float(total["select_seconds"])),
            "fit_width": 100 * float(total["fit_seconds"]) / longest,
            "select_width": 100 * float(total["select_seconds"]) / longest,
        }
        for name, total in totals.items()
    ]


def origins(starts: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Every recorded fact with its values, and how many starts have each value; times as the first and the last."""
    entries = [entry for entries_of_run in starts.values() for entry in entries_of_run]
    facts: dict[str, dict[str, int]] = {}
    for entry in entries:
        for key, value in entry.items():
            if key in ("seed", "started"):
                continue
            text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            facts.setdefault(key, {}).setdefault(text, 0)
            facts[key][text] += 1
    facts_shown = [(key.replace("_", " "), sorted(counts.items())) for key, counts in facts.items()]
    times = sorted(str(entry["started"]) for entry in entries if "started" in entry)
    if times:
        facts_shown.insert(0, ("started", [(f"{times[0]} to {times[-1]}", len(times))]))
    return facts_shown


def _counts(checks: Iterable[Check]) -> str:
    states = [check.state for check in checks]
    counted = {state: states.count(state) for state in dict.fromkeys(states)}
    return ", ".join(
        f"{count} {state}{'s' if state == WARNING and count > 1 else ''}" for state, count in counted.items()
    )


def _json(value: Any) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
