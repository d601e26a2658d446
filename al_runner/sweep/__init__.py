"""Sweeps: how they begin, the processes that carry them out, what their runs are doing."""

from al_runner.callable import make_callable

make_callable(__name__, "al_runner.api.runs", "sweep")
