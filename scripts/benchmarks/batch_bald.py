"""BatchBALD: 1,000 candidates, 50 samples, 10 classes, 10 chosen, one CPU thread, processor time.

Against batchbald_redux (pip install -e '.[bench]'), in double precision as ours. Equal choices first, as far as both
codes use all label vectors: the first five images. Later ones are chosen by random draws. Goal: at least 10 times.

Some images are more unsure than others, as the images of a pool are. If all are alike, no bound rules an image out.
"""

from functools import partial
from time import process_time

import torch
from batchbald_redux.batchbald import get_batchbald_batch
from paired import paired, start
from torch import Tensor

from al_runner.rng import stream
from al_runner.strategies.batch_bald import batch_bald

CHOSEN, SURE, VECTORS = 10, 5, 10_000


def made(alike: bool) -> Tensor:
    """Log probabilities, [N, K, Y], of images that are all as unsure as each other, or some more and some less."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(1000, 50, 10, generator=rng, dtype=torch.float64)
    if alike:
        return (2 * noise).log_softmax(2)
    mean, unsure = torch.randn(1000, 1, 10, generator=rng), 2 * torch.rand(1000, 1, 1, generator=rng)
    return (3 * mean + unsure * noise).log_softmax(2)


def ours(log_probs: Tensor, count: int = CHOSEN) -> list[int]:
    choice: list[int] = batch_bald(log_probs, count, VECTORS, stream(0, "query")).tolist()
    return choice


def theirs(log_probs: Tensor, count: int = CHOSEN) -> list[int]:
    torch.manual_seed(0)
    choice: list[int] = get_batchbald_batch(log_probs, count, VECTORS, dtype=torch.float64).indices
    return choice


def main() -> None:
    repeats = start(__doc__, "redux", "ours")
    for alike in (False, True):
        log_probs = made(alike)
        if theirs(log_probs, SURE) != ours(log_probs, SURE):
            raise SystemExit("the choices differ")
        times = paired(partial(theirs, log_probs), partial(ours, log_probs), repeats, process_time)
        kind = "all alike" if alike else "some unsure"
        print(times.line(f"{kind}: redux (A), ours (B)", "at least 10"), flush=True)


if __name__ == "__main__":
    main()
