"""BatchBALD: the batch whose labels tell most about the weights (Kirsch et al., 2019).

Information that several images of the batch share is counted only once.
N candidates, K posterior samples, Y classes, M label vectors of the images chosen so far.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.budget import Budget
from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled, top
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Many, Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.ranges import in_range
from al_runner.system.chunks import rows_within
from al_runner.types import Fitted

BLOCK = 64  # candidates whose gains are computed together
TINY = 1e-300  # stands for a chance of 0, whose logarithm is infinite
NOTHING = 1e-9  # nats; a smaller gain is rounding
NUMBERS = 2**16  # predictions of some candidates under some label vectors that are held at once: within a CPU's cache


@dataclass(frozen=True)
class Outcomes:
    """Label vectors of the images chosen so far: the chance of each, and the posterior that it leads to.

    They are either all possible vectors, or M random draws of them.
    """

    chances: Tensor  # [M], with sum 1: the probabilities of all vectors, or 1 / M for each draw
    log_weights: Tensor  # ln p(k | labels) of the posterior samples, [M, K]
    samples: Tensor | None = None  # for draws: the posterior sample that each was drawn from, [M]

    @classmethod
    def none(cls, log_probs: Tensor) -> "Outcomes":
        """The outcomes before any image is chosen: one empty vector."""
        k = log_probs.shape[1]
        return cls(log_probs.new_ones(1), log_probs.new_zeros(1, k).log_softmax(1))

    @cached_property
    def weights(self) -> Tensor:
        """p(k | labels), [M, K]."""
        return self.log_weights.exp()

    def gains(self, log_probs: Tensor) -> Tensor:
        """What each candidate's label tells about the weights if the vector is known, in nats, [N, K, Y] -> [N].

        E_vector I[y; k | vector] = H(y | vector) - H(y | k). The batch's information grows by this number.
        """
        p = log_probs.exp()
        known = torch.special.entr(p).sum(2) @ (self.chances @ self.weights)  # the entropy that is left if k is known
        labels, unknown = p.transpose(0, 1).flatten(1), p.new_zeros(p[:, 0].numel())  # [K, N Y], [N Y]
        rows = rows_within(NUMBERS, len(unknown))
        for weights, chances in zip(self.weights.split(rows), self.chances.split(rows), strict=True):
            given = (weights @ labels).clamp_min_(TINY)
            unknown -= chances @ given.log().mul_(given)  # half the time of entr, which does not use the CPU's vectors
        gains: Tensor = unknown.view(len(p), -1).sum(1) - known
        return gains.clamp_min(0)

    def with_image(self, log_probs: Tensor) -> "Outcomes":
        """Every vector extended by every possible label of one more image with predictions [K, Y]."""
        joint = self.log_weights[:, None] + log_probs.T  # ln p(k, y | vector), [M, Y, K]
        evidence = joint.logsumexp(2)
        chances = self.chances[:, None] * evidence.exp()
        possible = chances.flatten() > 0
        return Outcomes(chances.flatten()[possible], (joint - evidence[..., None]).flatten(0, 1)[possible])

    def with_label(self, log_probs: Tensor, rng: torch.Generator) -> "Outcomes":
        """Every draw extended by a label of one more image with predictions [K, Y]: its own sample's draw."""
        assert self.samples is not None
        labels = torch.multinomial(log_probs.exp()[self.samples].cpu(), 1, generator=rng)[:, 0].to(log_probs.device)
        return replace(self, log_weights=(self.log_weights + log_probs[:, labels].T).log_softmax(1))

    @classmethod
    def drawn(cls, log_probs: Tensor, count: int, rng: torch.Generator) -> "Outcomes":
        """`count` random label vectors of images with predictions [n, K, Y]."""
        start = cls.none(log_probs)
        samples = torch.randint(log_probs.shape[1], (count,), generator=rng).to(log_probs.device)
        outcomes = cls(log_probs.new_full((count,), 1 / count), start.log_weights.expand(count, -1), samples)
        for image in log_probs:
            outcomes = outcomes.with_label(image, rng)
        return outcomes


def greatest_gain(outcomes: Outcomes, log_probs: Tensor, bounds: Tensor) -> int:
    """Position of the candidate with the largest gain, from [N, K, Y]; ties go to the earlier candidate.

    `bounds`, [N], is changed in place. No gain is above its bound, and gains can only fall as the batch grows. So a
    gain that is computed here is a bound for all later choices, and few candidates must be computed (Minoux, 1978).
    """
    best, at = -1.0, -1
    for part in bounds.argsort(descending=True, stable=True).split(BLOCK):
        if float(bounds[part[0]]) < best:
            break
        bounds[part] = torch.minimum(outcomes.gains(log_probs[part]), bounds[part])
        most = float(bounds[part].max())
        first = int(part[bounds[part] == most].min())
        if most > best or (most == best and first < at):
            best, at = most, first
    return at


def batch_bald(log_probs: Tensor, n: int, vectors: int, rng: torch.Generator) -> Tensor:
    """Positions of `n` greedy choices that make I[y_1 .. y_n; k] large, [N, K, Y] in float64 -> [n].

    The result is at least 1 - 1/e of the maximum (Kirsch et al., 2019). The information is exact while the batch has at
    most `vectors` label vectors; after that it is estimated from that many draws. No batch can tell more than ln K
    nats, which say which sample is the right one. Once no candidate adds information, the rest of the query are the
    candidates with the most information by themselves. Ties go to the earlier candidate. Time O(n N M K Y). Raises
    ArithmeticError if a prediction is NaN.
    """
    outcomes, chosen = Outcomes.none(log_probs), list[int]()
    alone = in_range(outcomes.gains(log_probs), log(min(log_probs.shape[1:])), "batch_bald")
    bounds = alone.clone()
    while len(chosen) < n:
        best = greatest_gain(outcomes, log_probs, bounds)
        if bounds[best] < NOTHING:
            break
        chosen.append(best)
        bounds[best] = -1
        image = log_probs[best]
        if outcomes.samples is not None:
            outcomes = outcomes.with_label(image, rng)
        elif len(outcomes.chances) * log_probs.shape[2] <= vectors:
            outcomes = outcomes.with_image(image)
        else:
            outcomes = Outcomes.drawn(log_probs[chosen], vectors, rng)
    alone[chosen] = -1
    rest = top(alone, n - len(chosen))
    return torch.cat([torch.tensor(chosen, dtype=torch.int64, device=rest.device), rest])


@options("strategy")
@dataclass(frozen=True)
class BatchBald(Strategy):
    """The greedy batch with the most mutual information; each posterior sample must be one function for all images."""

    vectors: Annotated[
        Many, Means("the most label vectors of the batch: all possible ones while they are fewer, then random draws")
    ] = 10_000
    max_candidates: Annotated[
        Count, Means("the most images that a query chooses from, drawn at random; time grows with them times vectors")
    ] = 5000
    needs: ClassVar[Needs] = Needs(consistent=True)
    draws: ClassVar[bool] = True

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = shuffled(pool.candidates_by_id, rng)  # so that the seed decides ties
        return ids[batch_bald(fitted.log_probs(pool.x(ids)).double(), n, self.vectors, rng)]
