"""Minimum Bayes risk: the labels after which a Gaussian field expects the fewest errors (Zhu et al., 2003)."""

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
    """The candidate of least expected risk over the candidates, in a field of the bought images and the candidates.

    The field is the strategy's own, whatever the learner; learner=harmonic is that of Zhu et al., whose queries are
    single. Of a batch, every choice takes those before it as labelled as the field predicts, class masses normalised;
    with `batch` "top" all risks are those of single queries.
    """

    length_scale: Annotated[
        Positive, Means("root-mean-square difference of pixels, in [0, 1], over which an edge's weight falls to 1/e")
    ]
    batch: Annotated[
        Literal["predicted", "top"],
        Means(
            "each choice takes those before it as labelled as the field predicts, or all are the best single queries"
        ),
    ] = "predicted"
    max_candidates: Annotated[
        Count, Means("images that a query chooses from at most, drawn at random: memory is 40 bytes a pair")
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
