"""BatchBALD: the batch that tells most about the weights, what its images share counted once (Kirsch et al., 2019).

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
from al_runner.types import Fitted, rows_within

BLOCK = 64  # candidates looked at together
NOTHING = 1e-9  # nats that are rounding
NUMBERS = 2**24  # held at a time, of the predictions of some candidates under all label vectors


@dataclass(frozen=True)
class Outcomes:
    """Label vectors of the images chosen so far: how likely each is, and what it leaves of the posterior."""

    chances: Tensor  # [M], adding to 1: all vectors with their probabilities, or as many draws, each 1 / M
    log_weights: Tensor  # ln p(k | labels) of the posterior samples, [M, K]
    samples: Tensor | None = None  # where they are draws, the posterior sample each was drawn from, [M]

    @classmethod
    def none(cls, log_probs: Tensor) -> "Outcomes":
        """Of no images: one empty vector."""
        k = log_probs.shape[1]
        return cls(log_probs.new_ones(1), log_probs.new_zeros(1, k).log_softmax(1))

    @cached_property
    def weights(self) -> Tensor:
        """p(k | labels), [M, K]."""
        return self.log_weights.exp()

    def gains(self, log_probs: Tensor) -> Tensor:
        """Information of each candidate's label about the weights once the vector is known, nats, [N, K, Y] -> [N].

        E_vector I[y; k | vector] = H(y | vector) - H(y | k), by which the batch's own information grows.
        """
        p = log_probs.exp()
        known = torch.special.entr(p).sum(2) @ (self.chances @ self.weights)  # the entropy that knowing k leaves
        rows = rows_within(NUMBERS, len(self.weights) * p.shape[2])
        given = (torch.einsum("mk,nky->nmy", self.weights, part) for part in p.split(rows))
        unknown = torch.cat([torch.special.entr(part).sum(2) @ self.chances for part in given])
        gains: Tensor = unknown - known
        return gains.clamp_min(0)

    def with_image(self, log_probs: Tensor) -> "Outcomes":
        """Every vector once for each label of another image, of predictions [K, Y]."""
        joint = self.log_weights[:, None] + log_probs.T  # ln p(k, y | vector), [M, Y, K]
        evidence = joint.logsumexp(2)
        chances = self.chances[:, None] * evidence.exp()
        possible = chances.flatten() > 0
        return Outcomes(chances.flatten()[possible], (joint - evidence[..., None]).flatten(0, 1)[possible])

    def with_label(self, log_probs: Tensor, rng: torch.Generator) -> "Outcomes":
        """Every draw with a label of another image, of predictions [K, Y], drawn by its own posterior sample."""
        assert self.samples is not None
        labels = torch.multinomial(log_probs.exp()[self.samples].cpu(), 1, generator=rng)[:, 0].to(log_probs.device)
        return replace(self, log_weights=(self.log_weights + log_probs[:, labels].T).log_softmax(1))

    @classmethod
    def drawn(cls, log_probs: Tensor, count: int, rng: torch.Generator) -> "Outcomes":
        """`count` draws of the labels of images of predictions [n, K, Y]."""
        start = cls.none(log_probs)
        samples = torch.randint(log_probs.shape[1], (count,), generator=rng).to(log_probs.device)
        outcomes = cls(log_probs.new_full((count,), 1 / count), start.log_weights.expand(count, -1), samples)
        for image in log_probs:
            outcomes = outcomes.with_label(image, rng)
        return outcomes


def greatest_gain(outcomes: Outcomes, log_probs: Tensor, bounds: Tensor) -> int:
    """The candidate that adds most, [N, K, Y], the earlier of equals; none adds more than its entry in `bounds`, [N].

    A gain only ever falls, so the ones computed here lower `bounds` for all choices to come (Minoux, 1978), and few
    candidates are looked at.
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
    """Positions of `n` greedy choices for the most of I[y_1 .. y_n; k], [N, K, Y] in float64 -> [n].

    At least 1 - 1/e of the most there is (Kirsch et al., 2019): exact while the batch has at most `vectors` label
    vectors, by so many draws of them from then on. A batch tells at most the ln K nats that say which sample is
    the right one: once no candidate adds to it, the rest are those that tell most by themselves. Ties fall to the
    earlier candidate. Time O(n N M K Y).
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
    """The greedy batch of most mutual information, whose posterior samples must be one function of all images each."""

    vectors: Annotated[
        Many, Means("labels of the batch that are told apart: all of them while there are no more, then so many draws")
    ] = 10_000
    max_candidates: Annotated[
        Count, Means("images that a query chooses from at most, drawn at random: time grows with them times vectors")
    ] = 5000
    needs: ClassVar[Needs] = Needs(consistent=True)
    draws: ClassVar[bool] = True

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = shuffled(pool.candidates_by_id, rng)  # equals are drawn by the seed
        return ids[batch_bald(fitted.log_probs(pool.x(ids)).double(), n, self.vectors, rng)]
