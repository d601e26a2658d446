"""Coverage selection: 8,000 points of 512 features, 500 chosen, one CPU thread, against what is published.

The published MaxHerding and UHerding keep the kernel of all pairs and go through it for every choice. The published
ProbCover keeps a list of all pairs of points that are close, and counts it again for every choice. Equal choices first.
Goal: 10 times, for 500 of 50,000 points, where the kernel alone takes 10 GB; --points and --chosen change the size.
With --first 20 MaxHerding and ProbCover are timed once, and the published MaxHerding makes 20 choices only: each of its
choices takes the same time, from which that of all is reckoned. The features are those of a random net with one hidden
layer on ten groups of 16 numbers. Times are processor time, which other work on the machine changes little.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from time import process_time

import torch
from paired import paired, start
from torch import Tensor
from torch.nn.functional import normalize

from al_runner.strategies.balls import ball_herding, purity_radius
from al_runner.strategies.coverage import herding, kernel_of

FEATURES, LATENT, GROUPS = 512, 16, 10


def made(count: int) -> tuple[Tensor, Tensor]:
    """Features of length 1, [N, D], and the group of each point, [N]."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(GROUPS, (count,), generator=rng)
    latent = torch.randn(count, LATENT, generator=rng) + torch.randn(GROUPS, LATENT, generator=rng)[labels]
    hidden = (latent @ torch.randn(LATENT, FEATURES, generator=rng)).relu()
    return normalize((hidden @ torch.randn(FEATURES, FEATURES, generator=rng)).relu()), labels


def by_matrix(x: Tensor, weights: Tensor, n: int) -> Tensor:
    """Greedy coverage by the Gaussian kernel of all pairs, in blocks of rows, so that no second kernel is in memory."""
    kernel, covered = torch.cdist(x, x).square_().neg_().exp_(), x.new_zeros(len(x))
    chosen: list[int] = []
    for _ in range(n):
        gains = torch.cat([(rows - covered).clamp_(min=0) @ weights for rows in kernel.split(500)])
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        covered = torch.maximum(covered, kernel[chosen[-1]])
    return torch.tensor(chosen)


def by_pairs(x: Tensor, radius: float, n: int) -> Tensor:
    """Greedy coverage by balls, from the list of all pairs that are closer than the radius."""
    blocks = [(torch.cdist(rows, x) < radius).nonzero() for rows in x.split(500)]
    pairs = torch.cat([block + torch.tensor([500 * place, 0]) for place, block in enumerate(blocks)]).T.numpy()
    chosen: list[int] = []
    for _ in range(n):
        counts = torch.bincount(torch.from_numpy(pairs[0]), minlength=len(x))
        counts[chosen] = -1
        chosen.append(int(counts.argmax()))
        covered = torch.zeros(len(x), dtype=torch.bool)
        covered[pairs[1][pairs[0] == chosen[-1]]] = True
        pairs = pairs[:, ~covered.numpy()[pairs[1]]]
    return torch.tensor(chosen)


def timed(rule: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What the rule chooses, and its processor seconds."""
    begin = process_time()
    return rule(), process_time() - begin


def reckon(x: Tensor, n: int, first: int) -> None:
    """Print the seconds of MaxHerding for `n` choices; those of the published one are reckoned from `first` choices."""
    weights = torch.ones(len(x))
    _, one = timed(partial(by_matrix, x, weights, 1))
    some, seconds = timed(partial(by_matrix, x, weights, first))
    ours, own = timed(partial(herding, x, x, x[:0], n, kernel_of("rbf", 1.0)))
    if not torch.equal(some, ours[:first]):
        raise SystemExit("the choices differ")
    published = one + (n - 1) * (seconds - one) / (first - 1)
    print(f"MaxHerding, published: 1 choice {one:.0f} s, {first} {seconds:.0f} s, so {n} {published:.0f} s")
    print(f"ours: {n} choices {own:.0f} s, {published / own:.1f} times as fast; the first {first} choices are equal")


def cover(x: Tensor, radius: float, n: int) -> None:
    """Print the seconds of ProbCover for `n` choices."""
    published, seconds = timed(partial(by_pairs, x, radius, n))
    ours, own = timed(partial(ball_herding, x, x, x[:0], n, radius))
    if not torch.equal(published, ours):
        raise SystemExit("the choices differ")
    print(f"ProbCover: published {seconds:.0f} s, ours {own:.0f} s, {seconds / own:.1f} times as fast, equal choices")


def main() -> None:
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--points", type=int, default=8000)
    parser.add_argument("--chosen", type=int, default=500)
    parser.add_argument("--first", type=int)
    size, rest = parser.parse_known_args()
    repeats = start(__doc__, "published", "ours", rest)
    x, labels = made(size.points)
    weights, radius = torch.rand(len(x), generator=torch.Generator().manual_seed(1)), purity_radius(x, labels, 0.95)
    if size.first:
        cover(x, radius, size.chosen)
        reckon(x, size.chosen, size.first)
        return
    smooth = kernel_of("rbf", 1.0)
    named = {
        "MaxHerding": (partial(by_matrix, x, torch.ones(len(x))), partial(herding, x, x, x[:0], kernel=smooth)),
        "UHerding": (partial(by_matrix, x, weights), partial(herding, x, x, x[:0], kernel=smooth, weights=weights)),
        "ProbCover": (partial(by_pairs, x, radius), partial(ball_herding, x, x, x[:0], radius=radius)),
    }
    for name, rules in named.items():
        published, ours = (partial(rule, n=size.chosen) for rule in rules)
        if not torch.equal(published(), ours()):
            raise SystemExit(f"{name}: the choices differ")
        times = paired(published, ours, repeats, process_time)
        print(times.line(f"{name}, {size.chosen} of {size.points:,}", "10"), flush=True)


if __name__ == "__main__":
    main()
