"""BADGE's k-means++: 40,000 candidates, 512 features, 10 classes, 100 chosen, one CPU thread, processor time.

Against the same rule without bounds, as the published code has it: the distance of every candidate to every centre, by
the factors of the gradients. It is timed in double precision, as ours is, and in single precision. Both ways draw with
the same chances; tests/strategies/test_badge.py holds ours to the definition. So their sums of distances are compared
first, over 10 seeds. Goal: at least 5 times.

The features are those of a ReLU layer, normal numbers, and those of a ReLU layer whose classes are nearly points. The
last is hard for bounds, since few choices make all distances small.
"""

from collections.abc import Callable
from functools import partial
from time import process_time

import torch
from paired import paired, start
from torch import Tensor
from torch.nn.functional import cross_entropy

from al_runner.rng import stream
from al_runner.strategies.badge import Embeddings, drawn, gradient_embeddings, k_means_plus_plus

Rule = Callable[[Embeddings, int, torch.Generator], Tensor]


def plain(points: Embeddings, n: int, rng: torch.Generator) -> Tensor:
    """k-means++ with every distance computed, by a matrix-vector product for each choice."""
    a, h, norms = points.a, points.h, points.squared_norms
    least, chosen = torch.full_like(norms, torch.inf), [drawn(norms == norms.max(), rng)]
    for _ in range(n - 1):
        newest = chosen[-1]
        least = torch.minimum(least, norms + norms[newest] - 2 * (a @ a[newest]) * (h @ h[newest])).clamp_min(0)
        least[newest] = 0
        chosen.append(drawn(least, rng))
    return torch.stack(chosen)


def made(kind: str) -> Embeddings:
    """Features of 10 classes, and gradients of a last layer that 300 images with labels were fitted to."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (40_000,), generator=rng)
    means, noise = torch.randn(10, 512, generator=rng), torch.randn(40_000, 512, generator=rng)
    h = {"ReLU": noise + 0.2 * means[labels], "normal": noise, "collapsed": 0.01 * noise + means[labels]}[kind]
    h = h if kind == "normal" else h.clamp_min(0)
    weights = torch.zeros(10, 512, requires_grad=True)
    optimizer = torch.optim.Adam([weights], 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        cross_entropy(h[:300] @ weights.T, labels[:300]).backward()
        optimizer.step()
    h = h.double()
    return gradient_embeddings((h @ weights.detach().double().T).log_softmax(1), h)


def spread(rule: Rule, points: Embeddings) -> float:
    """The sum of the squared distances to 100 choices, mean of 10 seeds."""
    sums = [points.nearest(points[rule(points, 100, stream(seed, "query"))]).sum() for seed in range(10)]
    return float(torch.stack(sums).mean())


def main() -> None:
    repeats = start(__doc__, "plain", "ours")
    for kind in ("ReLU", "normal", "collapsed"):
        points = made(kind)
        ours, theirs = spread(k_means_plus_plus, points), spread(plain, points)
        if not 0.9 < ours / theirs < 1.1:
            raise SystemExit(f"{kind}: the sum of squared distances is {ours}, but {theirs} for the plain rule")

        def choose(rule: Rule, a: Tensor, h: Tensor) -> Tensor:
            return rule(Embeddings(a, h), 100, stream(0, "query"))  # nothing kept from the call before

        second = partial(choose, k_means_plus_plus, points.a, points.h)
        for precision, a, h in (("", points.a, points.h), (", single", points.a.float(), points.h.float())):
            times = paired(partial(choose, plain, a, h), second, repeats, process_time)
            print(times.line(f"{kind}: plain{precision} (A), ours (B)", "at least 5"))


if __name__ == "__main__":
    main()
