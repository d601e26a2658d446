"""Minimum Bayes risk: the labels after which a Gaussian field expects the fewest errors (Zhu et al., 2003)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.models.gaussian_field import Field, class_masses
from al_runner.pool import Pool
from al_runner.strategies.base import Strategy
from al_runner.types import Fitted


@dataclass(frozen=True)
class Mbr(Strategy):
    """The candidate of least expected risk over the candidates, in a field of the bought images and the candidates.

    The field is the strategy's own, whatever the learner; learner=harmonic is that of Zhu et al., whose queries are
    single. Of a batch, every choice takes those before it as labelled as the field predicts, class masses normalised;
    with `batch` "top" all risks are those of single queries.
    """

    length_scale: float
    batch: str = "predicted"
    max_candidates: int = 5000  # a random subset where there are more: memory is 40 bytes a pair

    def __post_init__(self) -> None:
        if self.length_scale <= 0:
            raise UsageError(f"strategy.length_scale is {self.length_scale}; it must be above 0")
        if self.batch not in ("predicted", "top"):
            raise UsageError(f"strategy.batch is {self.batch!r}; choose one of predicted, top")

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
