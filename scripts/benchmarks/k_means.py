"""BADGE's k-means++: 40,000 candidates, 512 features, 10 classes, 100 chosen, one CPU thread.

Against the same rule without bounds, as the published code has it: the distance of every candidate to every centre, by
the factors of the gradients. Equal choices first. Goal: at least 5 times.
"""

from collections.abc import Callable
from functools import partial

import torch
from paired import paired, start
from torch import Tensor

from al_runner.rng import stream
from al_runner.strategies.badge import Embeddings, drawn, gradient_embeddings, k_means_plus_plus


def plain(points: Embeddings, n: int, rng: torch.Generator) -> Tensor:
    """k-means++ with every distance computed."""
    norms, least = points.squared_norms, torch.full_like(points.squared_norms, torch.inf)
    chosen = [drawn((norms == norms.max()).double(), rng)]
    for _ in range(n - 1):
        least = torch.minimum(least, points.squared_distances(chosen[-1]))
        least[chosen[-1]] = 0
        chosen.append(drawn(least, rng))
    return torch.stack(chosen)


def made() -> Embeddings:
    """Positive features around a mean of every class, and what a dense layer makes of them."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (40_000,), generator=rng)
    means, noise = 2 * torch.randn(10, 512, generator=rng), torch.randn(40_000, 512, generator=rng)
    h = (noise + means[labels]).clamp_min(0).double()
    weights = torch.randn(10, 512, generator=rng).double() / 512**0.5
    return gradient_embeddings((h @ weights.T).log_softmax(1), h)


def main() -> None:
    repeats = start(__doc__, "plain", "bounded")
    points = made()

    def choose(rule: Callable[[Embeddings, int, torch.Generator], Tensor]) -> Tensor:
        fresh = Embeddings(points.a, points.h)  # nothing kept from the call before
        return rule(fresh, 100, stream(0, "query"))

    first, second = partial(choose, plain), partial(choose, k_means_plus_plus)
    assert torch.equal(first(), second())
    print(paired(first, second, repeats).line("100 of 40,000: plain (A), bounded (B)", "at least 5"))


if __name__ == "__main__":
    main()
