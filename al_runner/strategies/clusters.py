"""k-means, and choices that are spread over its clusters.

N points, K clusters, D features.
"""

from warnings import catch_warnings

import torch
from torch import Tensor

from al_runner.pool import shuffled
from al_runner.strategies.core_set import squared_distances

FEW = 50  # clusters up to which all points are used in every step of k-means
BATCH = 5000  # points of a step with more clusters


def clusters(x: Tensor, count: int, rng: torch.Generator, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """k-means: the cluster of every point, int64 [N], and the centres, [K, D]; at most one cluster a point.

    A point counts with its weight, [N], above 0, or all count 1. One start of k-means++; with more than FEW clusters by
    minibatches (Sculley, 2010). Clusters may be empty if points are equal.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans  # noqa: PLC0415 - a second that no other strategy need spend

    seed, count = int(torch.randint(2**31, (1,), generator=rng)), min(count, len(x))
    many = {"batch_size": BATCH, "init_size": max(3 * BATCH, 3 * count)} if count > FEW else {}
    kind = MiniBatchKMeans if many else KMeans
    points = x.float().cpu().numpy()
    with catch_warnings(action="ignore"):  # that there are fewer different points than clusters
        result = kind(count, n_init=1, random_state=seed, **many).fit(
            points, sample_weight=None if weights is None else weights.double().cpu().numpy()
        )
    labels = torch.from_numpy(result.labels_).to(x.device, torch.int64)
    return labels, torch.from_numpy(result.cluster_centers_).to(x.device, x.dtype)


def spread(x: Tensor, n: int, rng: torch.Generator, weights: Tensor | None = None) -> Tensor:
    """Positions of `n` points, the most central one of each of `n` k-means clusters, [N, D] -> [n]; all different.

    The weights, [N], are those of `clusters`.
    The most central point of a cluster is the nearest to its centre; a nearer point of another cluster does not count.
    An empty cluster gets the nearest of the points that are left once all other clusters have chosen.
    """
    labels, centres = clusters(x, n, rng, weights)
    sizes = torch.bincount(labels, minlength=n).tolist()
    left = torch.ones(len(x), dtype=torch.bool, device=x.device)
    chosen: list[Tensor] = []
    for label in sorted(range(n), key=lambda label: sizes[label] == 0):  # the empty ones last
        may = (labels == label) if sizes[label] else left
        squares = squared_distances(centres[label][None], x)[0].masked_fill(~may, torch.inf)
        chosen.append(squares.argmin())
        left[chosen[-1]] = False
    return torch.stack(chosen)


def spread_or_filled(ids: Tensor, wanted: Tensor, x: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """`n` of the ids, int64 [N]: wanted ones, bool [N], one of every cluster of their points `x`, [sum of wanted, D].

    If fewer than `n` are wanted, it takes all of them, and random others.
    """
    some = ids[wanted]
    if len(some) < n:
        return torch.cat([some, shuffled(ids[~wanted], rng)[: n - len(some)]])
    return some[spread(x, n, rng)]
