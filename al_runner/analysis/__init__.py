"""CSVs in; tables, figures and a report out, each by one function. Nothing here imports torch.

`load` gives the tidy table that everything else starts from; docs/analysis.md says what the numbers mean.
"""

from al_runner.analysis.compare import average_ranks, cases, labels_needed, paired_tests, penalties, results
from al_runner.analysis.comparison import Comparison, save_tables
from al_runner.analysis.curves import Spread, curves, difference_curves
from al_runner.analysis.figures import Look, differences, draw_run, facets, learning_curves, times
from al_runner.analysis.files import save
from al_runner.analysis.forest import forest
from al_runner.analysis.published import published
from al_runner.analysis.runs import load
from al_runner.analysis.summary import summarise
from al_runner.analysis.verdict import gaps, verdict

__all__ = [
    "Comparison",
    "Look",
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
