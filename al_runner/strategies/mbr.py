"""Minimum Bayes risk: choose the images after whose labels a Gaussian field expects the fewest errors.

Source: Zhu, Lafferty & Ghahramani (2003).
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from al_runner.budget import Budget
from al_runner.models.gaussian_field import Field, class_masses
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.types import Fitted


@options("strategy")
@dataclass(frozen=True)
class Mbr(Strategy):
    """The candidates with the least expected risk over all candidates, in a field of labelled images and candidates.

    The strategy builds its own field for every learner. learner=harmonic is the classifier of Zhu et al., who query
    one image at a time. With `batch` "predicted" the images of a query are chosen one by one, and each chosen one gets
    the field's prediction as its label, with class mass normalisation. With "top" every risk is that of a single query.
    """

    length_scale: Annotated[
        Positive, Means("root-mean-square difference of pixels, in [0, 1], at which an edge's weight is 1/e")
    ]
    batch: Annotated[
        Literal["predicted", "top"],
        Means("predicted: each choice gets its predicted label before the next; top: the best single queries"),
    ] = "predicted"
    max_candidates: Annotated[
        Count, Means("the most images that a query chooses from, drawn at random; a pair takes 40 bytes of memory")
    ] = 5000

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        labels = pool.y(pool.labelled)
        field = Field.of(pool.x(pool.labelled), labels, pool.x(pool.candidates), self.length_scale)
        if self.batch == "top":
            return pool.best(-field.expected_risks(), n)
        left, chosen, known = pool.candidates, [], one_hot(labels)
        for _ in range(n):
            k = int(field.expected_risks().argmin())
            chosen.append(left[k])
            left = torch.cat([left[:k], left[k + 1 :]])
            field = field.labelled_as(k, int((field.f[k] * class_masses(known, field.f)).argmax()))
        return torch.stack(chosen)
