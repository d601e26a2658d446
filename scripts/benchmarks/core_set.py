"""k-center greedy on 50,000 points of 64 features, 64 centres: ours (B) against the whole matrix of distances (A).

The matrix takes 10 GB and is made afresh each time, as each query would. Equal choices first. Goal: 10 times as fast.
Then the memory that ours takes beyond the features, from the allocator's own record, in bytes a point.
"""

from functools import partial

import torch
from paired import paired, start
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from al_runner.strategies.core_set import k_center

POINTS, FEATURES, CENTRES = 50_000, 64, 64


def by_matrix(x: Tensor, centres: Tensor, n: int) -> Tensor:
    """[N, D], [L, D] -> [n], every distance between two points known beforehand."""
    between = torch.cdist(x, x)
    least, chosen = torch.cdist(x, centres).amin(1), []
    for _ in range(n):
        farthest = least.argmax()
        chosen.append(farthest)
        torch.minimum(least, between[farthest], out=least)
    return torch.stack(chosen)


def peak_bytes(x: Tensor, centres: Tensor, n: int) -> int:
    """The most that `k_center` holds at once beyond what it is given."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        k_center(x, centres, n)
    held = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def main() -> None:
    repeats = start(__doc__, "matrix", "ours")
    torch.manual_seed(0)
    x = torch.randn(POINTS, FEATURES)
    centres = x[:100]
    ours, matrix = partial(k_center, x, centres, CENTRES), partial(by_matrix, x, centres, CENTRES)
    if not torch.equal(ours(), matrix()):
        raise SystemExit("the choices differ")
    print(paired(matrix, ours, repeats).line("n 50,000, d 64, k 64", "10"))
    for points in (12_500, 25_000, 50_000):
        print(f"{points:>7,} points: {peak_bytes(x[:points], centres, CENTRES) / points:5.1f} bytes a point at most")


if __name__ == "__main__":
    main()
