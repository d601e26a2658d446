"""Acquisition scores of single images: how much the posterior samples disagree. The highest scores are chosen.

N examples, K posterior samples, Y classes; log_probs [N, K, Y] in nats, each sample normalised.
Every score here is 0 if K = 1. Two related scores are in strategies/uncertainty.py: `entropy` (max entropy) and
`least_confidence` (the variation ratio of the mean). They use the mean over the samples, so K = 1 is enough for them.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, log, sqrt
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from al_runner.needs import Gives, Needs
from al_runner.pool import Pool, random_ids, top
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.ranges import in_range
from al_runner.strategies.uncertainty import TopScore, entropy
from al_runner.types import Fitted, mean_log_probs

CHUNK = 4096  # images that are scored at once, in double precision


def bald(log_probs: Tensor) -> Tensor:
    """Mutual information I[y; w | x] in nats, [N, K, Y] -> [N] in [0, ln min(K, Y)] (Houlsby et al., 2011, eq. 2).

    It is computed as the mean divergence of the samples from the mean prediction. The equal difference of two
    entropies would lose digits, because the entropies nearly cancel.
    """
    _, samples, classes = log_probs.shape
    log_probs = log_probs.double()
    p = log_probs.exp()
    divergences = torch.where(p == 0, 0.0, p * (log_probs - mean_log_probs(log_probs)[:, None])).sum(2)
    return in_range(divergences.mean(1), log(min(samples, classes)), "bald")


def variation_ratios(log_probs: Tensor) -> Tensor:
    """Share of samples that do not vote for the most voted class, [N, K, Y] -> [N] in [0, 1 - ceil(K / Y) / K].

    1 - f_m / T (Freeman, 1965; Beluch et al., 2018). A sample votes for its most likely class; ties go to the first.
    """
    _, samples, classes = log_probs.shape
    votes = torch.nn.functional.one_hot(log_probs.argmax(2), classes).sum(1)
    against = (samples - votes.amax(1)).double() / samples
    scores = torch.where(log_probs.isnan().any(2).any(1), torch.nan, against)  # argmax would hide a NaN
    return in_range(scores, 1 - ceil(samples / classes) / samples, "variation_ratios")


def mean_std(log_probs: Tensor) -> Tensor:
    """Mean over classes of a probability's standard deviation over samples, [N, K, Y] -> [N] in [0, sqrt(Y - 1) / Y].

    sigma_c = sqrt(E[p_c^2] - E[p_c]^2) (Kampffmeyer et al., 2016; Gal et al., 2017, section 4).
    """
    classes = log_probs.shape[2]
    scores = log_probs.double().exp().std(1, correction=0).mean(1)
    return in_range(scores, sqrt(classes - 1) / classes, "mean_std")


@options("strategy")
@dataclass(frozen=True)
class Disagreement(TopScore):
    """The candidates with the highest score; ties go to the higher entropy of the mean prediction, then to the earlier.

    With few samples most candidates tie: five votes have few outcomes. A single net gives every candidate the score 0.
    It is refused, unless `one_sample` is "random": the choice is then random, as for the deterministic net of Gal et
    al. (2017, figure 2), whose posterior is a point mass.
    """

    one_sample: Annotated[
        Literal["refuse", "random"],
        Means("what to do with a single net, whose score is the same for all images: refuse it, or choose at random"),
    ] = "refuse"
    chooses_sets: ClassVar[bool] = False

    @property
    def needs(self) -> Needs:
        return Needs(samples=self.one_sample == "refuse")

    @property
    def draws(self) -> bool:
        return self.one_sample == "random"

    @cached_property
    def name(self) -> str:
        score: object = getattr(self.score, "func", self.score)
        return getattr(score, "__name__", type(self).__name__)

    def scores(self, fitted: Fitted, pool: Pool, ids: Tensor, rng: torch.Generator) -> Tensor:
        return self._scores(fitted.log_probs(pool.x(ids)))

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        log_probs = fitted.log_probs(pool.x(pool.candidates))
        scores = self._scores(log_probs)
        if log_probs.shape[1] == 1:
            return random_ids(pool, n, rng)
        entropies = torch.cat([entropy(part.double()) for part in log_probs.split(CHUNK)])
        order = entropies.argsort(descending=True, stable=True)
        return pool.candidates[order[top(scores[order], n)]]

    def _scores(self, log_probs: Tensor) -> Tensor:
        self.needs.require(Gives(samples=log_probs.shape[1]), self.name)
        return torch.cat([self.score(part) for part in log_probs.split(CHUNK)])
