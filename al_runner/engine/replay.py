"""Work that is repeated many times; on a GPU it is captured as a CUDA graph and replayed."""

import logging
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)

# The first calls set up optimiser state, cuDNN plans and cuBLAS workspaces. They must exist before a graph is captured.
EAGER_CALLS = 3


class Graphs:
    """What CUDA graphs on one device share: a side stream and one pool of memory. Never replay two at the same time."""

    def __init__(self, device: torch.device):
        self.pool, self.side = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)


class Replay:
    """Calls `work`, which must read and write only fixed tensors and never wait for the device.

    With `graphs` the fourth call captures `work` as a CUDA graph; from then on every call is one launch. If capturing
    fails, a warning is logged, and `work` is called as before.
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
            self._beside(self._graphs.side, self._work)
        else:
            self._capture(self._graphs)
            self()

    def _capture(self, graphs: Graphs) -> None:
        """Record the work without doing it."""
        graph = torch.cuda.CUDAGraph()

        def record() -> None:
            # Not torch.cuda.graph(): it collects garbage and empties the cache, longer work than a small net's pass.
            graph.capture_begin(pool=graphs.pool)
            try:
                self._work()
            finally:
                graph.capture_end()

        try:
            self._beside(graphs.side, record)
        except RuntimeError as error:
            log.warning("training goes on without a CUDA graph: %s", str(error).partition("\n")[0])
            self._graphs = None
        else:
            self._graph = graph

    @staticmethod
    def _beside(side: torch.cuda.Stream, work: Callable[[], None]) -> None:
        """Do `work` on the stream `side`, as capturing needs it; it waits for earlier work, and later work for it."""
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
