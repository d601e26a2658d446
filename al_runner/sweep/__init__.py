"""Sweeps: how they begin and end, the processes that carry them out, and the state of their runs."""

from al_runner.callable import make_callable

make_callable(__name__, "al_runner.api.runs", "sweep")
