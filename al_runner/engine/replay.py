"""Work that is launched again and again, captured as a CUDA graph where there is a GPU."""

import logging
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)

# The first calls set up optimiser state, cuDNN plans and cuBLAS workspaces, which a graph must find ready.
EAGER_CALLS = 3


class Replay:
    """Calls `work`, which reads and writes fixed tensors alone and never waits for the device.

    On a GPU the fourth call captures it, and every call from then on is one launch; elsewhere it is simply called.
    """

    def __init__(self, work: Callable[[], None], device: torch.device):
        self._work = work
        self._graph: torch.cuda.CUDAGraph | None = None
        self._eager = EAGER_CALLS if device.type == "cuda" else -1  # calls left; negative: without end

    def __call__(self) -> None:
        if self._eager == 0 and self._graph is None:
            self._capture()
        if self._graph is not None:
            self._graph.replay()
        else:
            self._work()
            self._eager -= self._eager > 0

    def _capture(self) -> None:
        graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        try:
            # Not torch.cuda.graph(): it collects garbage and empties the cache, dearer than a small net's epoch.
            with torch.cuda.stream(side):
                graph.capture_begin()
                self._work()
                graph.capture_end()
        except RuntimeError as error:
            log.warning("training goes on without a CUDA graph: %s", str(error).partition("\n")[0])
            self._eager = -1
            return
        torch.cuda.current_stream().wait_stream(side)
        self._graph = graph
