"""CSVs in; tables, figures and a report out, each by one function. Nothing here imports torch.

`load` gives the tidy table that everything else starts from; docs/analysis.md says what the numbers mean. The rooms, of
which each imports only those before it (draw and tell don't know each other): table (files and rows), stats (numbers),
draw (figures), tell (sentences and printed tables), report (the HTML page); then the commands.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from al_runner.analysis.draw.figures import differences, facets, learning_curves, times
    from al_runner.analysis.draw.forest import forest
    from al_runner.analysis.draw.look import Look
    from al_runner.analysis.draw.one_run import draw_run
    from al_runner.analysis.draw.save import save
    from al_runner.analysis.stats.case import cases
    from al_runner.analysis.stats.curves import Spread, curves, difference_curves
    from al_runner.analysis.stats.labels import labels_needed
    from al_runner.analysis.stats.over_cases import average_ranks, penalties
    from al_runner.analysis.stats.results import paired_tests, results, summarise
    from al_runner.analysis.table.display import Names
    from al_runner.analysis.table.metrics import METRICS
    from al_runner.analysis.table.published import published
    from al_runner.analysis.table.runs import load
    from al_runner.analysis.tell.comparison import Comparison, save_tables
    from al_runner.analysis.tell.verdict import gaps, verdict

__all__ = [
    "METRICS",
    "Comparison",
    "Look",
    "Names",
    "Spread",
    "average_ranks",
    "cases",
    "curves",
    "difference_curves",
    "differences",
    "draw_run",
    "facets",
    "forest",
    "gaps",
    "labels_needed",
    "learning_curves",
    "load",
    "paired_tests",
    "penalties",
    "published",
    "results",
    "save",
    "save_tables",
    "summarise",
    "times",
    "verdict",
]

# Where each is, imported when it is first asked for: al-status reads rows, and needs neither pandas nor matplotlib.
ROOMS = {
    "METRICS": "table.metrics",
    "Comparison": "tell.comparison",
    "Look": "draw.look",
    "Names": "table.display",
    "Spread": "stats.curves",
    "average_ranks": "stats.over_cases",
    "cases": "stats.case",
    "curves": "stats.curves",
    "difference_curves": "stats.curves",
    "differences": "draw.figures",
    "draw_run": "draw.one_run",
    "facets": "draw.figures",
    "forest": "draw.forest",
    "gaps": "tell.verdict",
    "labels_needed": "stats.labels",
    "learning_curves": "draw.figures",
    "load": "table.runs",
    "paired_tests": "stats.results",
    "penalties": "stats.over_cases",
    "published": "table.published",
    "results": "stats.results",
    "save": "draw.save",
    "save_tables": "tell.comparison",
    "summarise": "stats.results",
    "times": "draw.figures",
    "verdict": "tell.verdict",
}


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{ROOMS[name]}"), name)
