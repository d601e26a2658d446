"""Sweeps: how they begin, the processes that carry them out, what their runs are doing."""
