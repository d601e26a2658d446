"""Batches drawn by a score in place of its top (Kirsch et al., 2023, "Stochastic Batch Acquisition")."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from scipy.stats import rankdata
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.strategies.base import Strategy
from al_runner.types import Fitted, Learner

LAWS = ("power", "softmax", "softrank")
SURE_AND_UNSURE = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]).log()  # predictions to try a score on


class Scored(Protocol):
    """A strategy that has a score for every candidate."""

    @property
    def score(self) -> Callable[[Tensor], Tensor]:
        """Of predictions, [N, K, Y] -> [N]."""

    def scores(self, fitted: Fitted, x: Tensor) -> Tensor:
        """Of images, uint8 [N, C, H, W] -> [N], the highest first."""

    def check_learner(self, learner: Learner) -> None: ...


def log_chances(scores: Tensor, law: str, beta: float) -> Tensor:
    """Unnormalised log probabilities to be drawn first, [N] -> float64 [N] (Kirsch et al., 2023).

    "power": s^beta, of scores of 0 or more; "softmax": exp(beta s); "softrank": rank^-beta, 1 for the highest,
    equals at their mean rank. UsageError for the power of a score below 0.
    """
    if law == "power":
        if bool((scores < 0).any()):
            raise UsageError("strategy.law=power needs scores of 0 or more; use strategy.law=softmax or softrank")
        powers: Tensor = torch.special.xlogy(beta, scores.double())  # 0 for beta = 0, also of a score of 0
        return powers
    if law == "softmax":
        return beta * scores.double()
    return -beta * torch.from_numpy(rankdata(-scores.cpu().numpy())).to(scores.device).log()


@dataclass(frozen=True)
class Stochastic(Strategy):
    """Candidates drawn without replacement, by the score of another strategy.

    Top-n of the log chances plus Gumbel noise, which is the same (Kool et al., 2019). Those of chance 0 come last.
    """

    of: Scored
    law: str = "power"
    beta: float = 1.0  # the larger, the closer to the top; 0: random

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise UsageError(f"strategy.law is {self.law!r}; choose one of {', '.join(LAWS)}")
        if not self.beta >= 0:
            raise UsageError(f"strategy.beta is {self.beta}; it must be 0 or more (1 is the default)")
        log_chances(self.of.score(SURE_AND_UNSURE), self.law, self.beta)

    def check_learner(self, learner: Learner) -> None:
        super().check_learner(learner)
        self.of.check_learner(learner)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates.sort().values  # one draw, whatever their order
        chances = log_chances(self.of.scores(fitted, pool.x(ids)), self.law, self.beta)
        uniform = torch.rand(len(ids), generator=rng, dtype=torch.float64).to(ids.device)
        gumbel = -(-uniform.log()).log()
        order = gumbel.argsort(descending=True)  # among those of chance 0
        keys = (chances + gumbel)[order]
        return ids[order[keys.argsort(descending=True, stable=True)][:n]]
