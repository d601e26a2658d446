"""Sweeps: how they begin and end, the processes that carry them out, and the state of their runs."""
