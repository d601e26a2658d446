"""Batches drawn by a score in place of its top (Kirsch et al., 2023, "Stochastic Batch Acquisition")."""

from dataclasses import dataclass
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
    """Unnormalised log probabilities to be drawn first, [N] -> float64 [N] (Kirsch et al., 2023).

    "power": s^beta, of scores of 0 or more; "softmax": exp(beta s); "softrank": rank^-beta, 1 for the highest,
    equals at their mean rank. UsageError for the power of a score below 0.
    """
    if law == "power":
        require_at_least_0(bool((scores >= 0).all()))
        powers: Tensor = torch.special.xlogy(beta, scores.double())  # 0 for beta = 0, also of a score of 0
        return powers
    if law == "softmax":
        return beta * scores.double()
    return -beta * torch.from_numpy(rankdata(-scores.cpu().numpy())).to(scores.device).log()


def require_at_least_0(scores_are: bool) -> None:
    """UsageError unless scores are such as law=power can draw by."""
    if not scores_are:
        raise UsageError("strategy.law=power needs scores of 0 or more; use strategy.law=softmax or softrank")


@options("strategy")
@dataclass(frozen=True)
class Stochastic(Through):
    """Candidates drawn without replacement, by the score of another strategy.

    Top-n of the log chances plus Gumbel noise, which is the same (Kool et al., 2019). Those of chance 0 come last.
    """

    of: Annotated[InstanceOf[ByScore], Means("the strategy whose score chances are made of")]
    law: Annotated[
        Literal["power", "softmax", "softrank"], Means("chance by score s: s^beta, exp(beta s), or rank^-beta")
    ] = "power"
    beta: Annotated[NotNegative, Means("the larger, the closer to the highest scores; 0: at random")] = 1.0
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_at_least_0(self.law != "power" or self.of.at_least_0)

    @property
    def inner(self) -> Strategy:
        return self.of

    @property
    def name(self) -> str:
        return self.of.name

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        chances = log_chances(self.of.scores(fitted, pool, ids, rng), self.law, self.beta)
        uniform = torch.rand(len(ids), generator=rng, dtype=torch.float64).to(ids.device)
        gumbel = -(-uniform.log()).log()
        order = gumbel.argsort(descending=True)  # among those of chance 0
        keys = (chances + gumbel)[order]
        return ids[order[top(keys, n)]]
