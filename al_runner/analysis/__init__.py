"""CSVs in; curves, tables and figures out. Nothing here imports torch."""

from al_runner.analysis.figures import draw_run

__all__ = ["draw_run"]
