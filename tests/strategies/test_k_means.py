"""k-means buys the point nearest to the centre of each cluster, before anything is fitted."""

import torch
import toy

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.clusters import clusters
from al_runner.strategies.coverage import points
from al_runner.strategies.k_means import KMeans
from al_runner.types import Unfitted


def test_each_cluster_gives_its_most_central_point():
    pool = Pool(toy.data_set())
    chosen = KMeans().select(Unfitted(), pool, 6, stream(3, "query"))
    x = points(pool, pool.candidates)
    labels, centres = clusters(x, 6, stream(3, "query"))
    expected = []
    for label in range(6):
        mine = (labels == label).nonzero()[:, 0].tolist()
        expected.append(min(mine, key=lambda place: float((x[place] - centres[label]).norm())))
    assert sorted(chosen.tolist()) == sorted(pool.candidates[expected].tolist())


def test_it_chooses_among_the_candidates_alone():
    pool = Pool(toy.data_set())
    pool.draw_candidates(9, stream(0, "candidates"))
    chosen = KMeans().select(Unfitted(), pool, 9, stream(0, "query"))
    assert sorted(chosen.tolist()) == sorted(pool.candidates.tolist())
    assert torch.isin(KMeans().select(Unfitted(), pool, 4, stream(0, "query")), pool.candidates).all()
