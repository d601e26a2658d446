"""Cluster-Margin's clusters, 10,000 points of 1,280 features in 1,000 clusters, one CPU thread, against scikit-learn's.

Both must make the same clusters. The features are those of a random net with one hidden layer on ten groups. Times are
processor time, which other work on the machine changes little.
"""

from functools import partial
from time import process_time

import torch
from paired import paired, start
from sklearn.cluster import AgglomerativeClustering
from torch import Tensor

from al_runner.strategies.cluster_margin import clusters

POINTS, FEATURES, LATENT, GROUPS, CLUSTERS = 10_000, 1280, 16, 10, 1000


def made() -> Tensor:
    """Features that are 0 or more, [N, D]."""
    rng = torch.Generator().manual_seed(0)
    of = torch.randint(GROUPS, (POINTS,), generator=rng)
    latent = torch.randn(POINTS, LATENT, generator=rng) + torch.randn(GROUPS, LATENT, generator=rng)[of]
    return (latent @ torch.randn(LATENT, FEATURES, generator=rng)).relu()


def by_library(x: Tensor) -> Tensor:
    """scikit-learn's clusters, int64 [N]."""
    model = AgglomerativeClustering(n_clusters=CLUSTERS, linkage="average")
    return torch.from_numpy(model.fit_predict(x.double().numpy()))


def main() -> None:
    repeats = start(__doc__, "theirs", "ours")
    x = made()
    theirs, ours = partial(by_library, x), partial(clusters, x, CLUSTERS)
    if len(torch.stack([theirs(), ours()]).unique(dim=1).T) != CLUSTERS:
        raise SystemExit("the clusters differ")
    print(paired(theirs, ours, repeats, process_time).line(f"{POINTS:,} points", "none set"))


if __name__ == "__main__":
    main()
