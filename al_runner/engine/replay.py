"""Work that is launched again and again, captured as a CUDA graph where there is a GPU."""

import logging
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)

# The first calls set up optimiser state, cuDNN plans and cuBLAS workspaces, which a graph must find ready.
EAGER_CALLS = 3


class Graphs:
    """Makes calls that a GPU replays as CUDA graphs, all in one pool of memory: never two of them at a time."""

    def __init__(self, device: torch.device):
        self.pool, self.side = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)


class Replay:
    """Calls `work`, which reads and writes fixed tensors alone and never waits for the device.

    With `graphs` the fourth call captures it, and every call from then on is one launch.
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
            # Not torch.cuda.graph(): it collects garbage and empties the cache, dearer than a small net's epoch.
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
        """Do `work` on a stream of its own, which capturing needs, between what came before and what comes after."""
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
