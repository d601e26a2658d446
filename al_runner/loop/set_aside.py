"""Which bought images are set aside for validation (budget.val_share).

Gissin & Shalev-Shwartz (2019) and Ducoffe & Precioso (2018) set a fifth aside, and draw it anew for every training.
Here an image keeps its role for the whole run, so that what is trained on is never validated on in a later round.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from al_runner.budget import Budget
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.types import DataSet


@dataclass(frozen=True, eq=False)
class ByRank:
    """Of every purchase, the images of the lowest rank are for validation, so that in all there are `count` of them.

    The ranks depend on the seed alone, so strategies that buy the same images give them the same roles. An image that a
    strategy made has no rank. It is never set aside and does not count.
    """

    count: Callable[[int], int]  # how many of so many labelled images; one more image adds one at most
    ranks: Tensor  # int64 [images of the data set], a random order of their ids

    def __call__(self, ids: Tensor, before: Tensor) -> Tensor:
        """Those of the bought `ids` that are for validation, after the purchases `before`, int64 [n], [N] -> [m]."""
        known, new = (part[part < len(self.ranks)] for part in (before, ids))
        more = self.count(len(known) + len(new)) - self.count(len(known))
        return new[self.ranks[new].argsort()[:more]]


def new_pool(data: DataSet, plan: Budget, seed: int) -> Pool:
    """The pool of a run before anything is bought."""
    if plan.val_share is None:
        return Pool(data)
    ranks = torch.randperm(len(data.images), generator=stream(seed, "validation")).to(data.images.device)
    return Pool(data, ByRank(plan.set_aside, ranks))
