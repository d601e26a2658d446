"""Batches drawn at random by their scores, not the top scores (Kirsch et al., 2023, "Stochastic Batch Acquisition")."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import InstanceOf
from scipy.stats import rankdata
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import Pool, top
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, NotNegative
from al_runner.strategies.base import ByScore, Strategy, Through
from al_runner.types import Fitted


def log_chances(scores: Tensor, law: str, beta: float) -> Tensor:
    """Log chances to be drawn first, not normalised, [N] -> float64 [N] (Kirsch et al., 2023).

    The chance of a score s is s^beta for the law "power" and exp(beta s) for "softmax". It is rank^-beta for
    "softrank"; the highest score has rank 1, and ties have their mean rank. Raises UsageError if the law is "power"
    and a score is below 0.
    """
    if law == "power":
        require_at_least_0(bool((scores >= 0).all()))
        powers: Tensor = torch.special.xlogy(beta, scores.double())  # 0 if beta is 0, also for a score of 0
        return powers
    if law == "softmax":
        return beta * scores.double()
    return -beta * torch.from_numpy(rankdata(-scores.cpu().numpy())).to(scores.device).log()


def require_at_least_0(scores_are: bool) -> None:
    """Raises UsageError unless the scores are 0 or more, as law=power needs."""
    if not scores_are:
        raise UsageError("strategy.law=power needs scores of 0 or more; use strategy.law=softmax or softrank")


@options("strategy")
@dataclass(frozen=True)
class Stochastic(Through):
    """Draws candidates without replacement, with chances from the scores of another strategy.

    It takes the top n of the log chances plus Gumbel noise, which is the same (Kool et al., 2019). Candidates with
    chance 0 come last.
    """

    of: Annotated[InstanceOf[ByScore], Means("the strategy whose scores give the chances")]
    law: Annotated[
        Literal["power", "softmax", "softrank"], Means("chance of a score s: s^beta, exp(beta s), or rank^-beta")
    ] = "power"
    beta: Annotated[
        NotNegative, Means("the larger it is, the closer the choice is to the highest scores; 0: at random")
    ] = 1.0
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_at_least_0(self.law != "power" or self.of.at_least_0)

    @property
    def inner(self) -> Strategy:
        return self.of

    @cached_property
    def name(self) -> str:
        return self.of.name

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        chances = log_chances(self.of.scored(fitted, pool, ids, rng), self.law, self.beta)
        uniform = torch.rand(len(ids), generator=rng, dtype=torch.float64).to(ids.device)
        gumbel = -(-uniform.log()).log()
        order = gumbel.argsort(descending=True)  # a random order for candidates with chance 0
        keys = (chances + gumbel)[order]
        return ids[order[top(keys, n)]]
