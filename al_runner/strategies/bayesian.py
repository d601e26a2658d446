"""Scores of single images by what posterior samples disagree on, highest first.

N examples, K posterior samples, Y classes; log_probs [N, K, Y] in nats, samples normalised.
Every score is constant 0 for K = 1. Max entropy is strategies/uncertainty.py's `entropy`, the variation ratio of the
mean its `least_confidence`: both take the mean over K samples, and need no second.
"""

from dataclasses import dataclass
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

CHUNK = 4096  # images whose score is computed at a time, in double precision


def bald(log_probs: Tensor) -> Tensor:
    """Mutual information I[y; w | x] in nats, [N, K, Y] -> [N] in [0, ln min(K, Y)] (Houlsby et al., 2011, eq. 2).

    As the mean divergence of a sample from the mean prediction: the entropies whose difference it also is cancel.
    """
    _, samples, classes = log_probs.shape
    log_probs = log_probs.double()
    p = log_probs.exp()
    divergences = torch.where(p == 0, 0.0, p * (log_probs - mean_log_probs(log_probs)[:, None])).sum(2)
    return in_range(divergences.mean(1), log(min(samples, classes)), "bald")


def variation_ratios(log_probs: Tensor) -> Tensor:
    """Share of samples that vote against the most voted class, [N, K, Y] -> [N] in [0, 1 - ceil(K / Y) / K].

    1 - f_m / T (Freeman, 1965; Beluch et al., 2018); a sample votes for its most likely class, the first of equals.
    """
    _, samples, classes = log_probs.shape
    votes = torch.nn.functional.one_hot(log_probs.argmax(2), classes).sum(1)
    against = (samples - votes.amax(1)).double() / samples
    finite = torch.where(log_probs.isnan().any(2).any(1), torch.nan, against)  # argmax would hide it
    return in_range(finite, 1 - ceil(samples / classes) / samples, "variation_ratios")


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
    """The candidates of highest score; equals by the entropy of their mean prediction, then the earlier candidate.

    With few samples most candidates are equals: five votes have few outcomes. A single net's score, 0 for every
    candidate, is refused, unless `one_sample` is "random": what it amounts to where it is computed all the same, as for
    the deterministic net of Gal et al. (2017, figure 2), a point mass in place of the posterior.
    """

    one_sample: Annotated[
        Literal["refuse", "random"],
        Means("of a single net, whose score is the same for all images: refuse it, or choose at random"),
    ] = "refuse"
    chooses_sets: ClassVar[bool] = False

    @property
    def needs(self) -> Needs:
        return Needs(samples=self.one_sample == "refuse")

    @property
    def draws(self) -> bool:
        return self.one_sample == "random"

    @property
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
