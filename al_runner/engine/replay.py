"""Work that is repeated many times; on a GPU it is captured as a CUDA graph and replayed."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

log = logging.getLogger(__name__)

# The first calls set up optimiser state, cuDNN plans and cuBLAS workspaces. They must exist before a graph is captured.
EAGER_CALLS = 3


class Graphs:
    """What some CUDA graphs on one device share: a side stream and a pool of memory. Never replay two at the same time.

    Once the last of them is gone, the pool is gone too: later graphs need new `Graphs`.
    """

    def __init__(self, device: torch.device):
        self.device, self.pool, self.side = device, torch.cuda.graph_pool_handle(), side_stream(device)


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a device on which graphs are captured: every stream has workspaces of its own."""
    return torch.cuda.Stream(device)


@contextmanager
def no_collection() -> Iterator[None]:
    """Keeps the garbage collector off: it could destroy an old graph, which is forbidden during a capture."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Replay:
    """Calls `work`, which must read and write only fixed tensors and never wait for the device.

    With `graphs` the fourth call captures `work` as a CUDA graph; from then on every call is one launch. If capturing
    fails for another reason than memory, a warning is logged, and `work` is called as before.
    """

    def __init__(self, work: Callable[[], None], graphs: Graphs | None):
        self._work, self._graphs = work, graphs
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self._graphs is None:
            self._work()
        elif self._graph is not None:
            self._graph.replay()
        elif self._calls < EAGER_CALLS:
            self._calls += 1
            self._beside(self._graphs, self._work)
        else:
            self._capture(self._graphs)
            self()

    def _capture(self, graphs: Graphs) -> None:
        """Record the work without doing it."""
        graph = torch.cuda.CUDAGraph()

        def record() -> None:
            # Not torch.cuda.graph(): it collects garbage and empties the cache, longer work than a small net's pass.
            with no_collection():
                graph.capture_begin(pool=graphs.pool)
                try:
                    self._work()
                finally:
                    graph.capture_end()

        try:
            self._beside(graphs, record)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.warning("training goes on without a CUDA graph: %s", str(error).partition("\n")[0])
            self._graphs = None
        else:
            self._graph = graph

    @staticmethod
    def _beside(graphs: Graphs, work: Callable[[], None]) -> None:
        """Do `work` on the side stream, as capturing needs it; it waits for earlier work, and later work for it."""
        current = torch.cuda.current_stream(graphs.device)
        graphs.side.wait_stream(current)
        with torch.cuda.stream(graphs.side):
            work()
        current.wait_stream(graphs.side)
