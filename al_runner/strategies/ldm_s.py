"""LDM-S: candidates whose predicted class changes under little noise, spread out (Cho et al., 2024).

N candidates, S images that stand for all, D features, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from al_runner.budget import Budget
from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Few, Means
from al_runner.strategies.badge import drawn
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import features_of, head_of, require_head
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted

SCALES = [10 ** (step / 10 - 5) for step in range(51)]  # standard deviations of the noise, as in the paper
EQUAL = 1e-5  # cosine distances below it are rounding, as in the published code


def least_disagree_metrics(x: Tensor, over: Tensor, head: nn.Linear, patience: int, rng: torch.Generator) -> Tensor:
    """The share of all predictions that change together with a candidate's own, at least, [N, D], [S, D] -> [N].

    Noise is drawn for the weights of `head`. If it changes a candidate's predicted class, the share of the images
    `over` whose class it also changes bounds the candidate's metric from above. The metric is the least such share, 1
    if no noise has changed the class. The noise grows whenever `patience` draws in a row have lowered no metric
    (algorithm 1).
    """
    before, before_over = (finite(head(part), "an output").argmax(1) for part in (x, over))
    metrics = torch.ones(len(x), dtype=torch.float64, device=x.device)
    for scale in SCALES:
        idle = 0
        while idle < patience:
            noisy = with_noise(head, scale, rng)
            changed = linear(x, *noisy).argmax(1) != before
            share = (linear(over, *noisy).argmax(1) != before_over).double().mean()
            lower = changed & (share < metrics)
            metrics = torch.where(lower, share, metrics)
            idle = 0 if bool(lower.any()) else idle + 1
    return metrics


def with_noise(head: nn.Linear, scale: float, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """The layer's weights and its bias, if it has one, with normal noise of the standard deviation `scale`."""

    def noisy(part: Tensor) -> Tensor:
        return part + scale * torch.randn(part.shape, generator=rng).to(part)

    return noisy(head.weight), None if head.bias is None else noisy(head.bias)


def seeding_weights(metrics: Tensor, n: int) -> Tensor:
    """How much each candidate counts when `n` are drawn, [N] -> [N] in [0, 1]; smaller metrics count more.

    The weight is exp(-(m - q) / q) for a metric m above q, the smallest but `n`, and 1 for the `n` smallest. The
    others' weights are scaled so that they add to `n`, too, and none is above 1.
    """
    order = metrics.argsort(stable=True)
    q = metrics[order[min(n, len(metrics) - 1)]]
    if not q:
        q = metrics.where(metrics > 0, torch.inf).min()
    weights = torch.exp(-(metrics - q).clamp_min(0) / q)
    rest = order[n:]
    weights[rest] *= n / weights[rest].sum()
    return weights.clamp_max(1)


def seeded(x: Tensor, metrics: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Positions of `n` different points, [N, D] and [N] -> [n], by a weighted k-means++ rule.

    The first has the least metric. Each other is drawn with a chance in proportion to (weight times distance)^2, where
    the distance is the cosine distance to the nearest chosen point. If all these chances are 0, the rest are drawn with
    equal ones.
    """
    x, weights = normalize(x.double()), seeding_weights(metrics, n)
    nearest = torch.full_like(weights, torch.inf)
    chosen = [metrics.argsort(stable=True)[0]]
    while len(chosen) < n:
        distance = 1 - x @ x[chosen[-1]]
        nearest = torch.minimum(nearest, distance.where(distance >= EQUAL, 0))
        nearest[chosen[-1]] = 0  # features of length 0 are at a distance of 1 from themselves, too
        chances = (weights * nearest).square()
        if not bool(chances.any()):
            left = torch.ones_like(weights).index_fill(0, torch.stack(chosen), 0).nonzero()[:, 0]
            return torch.cat([torch.stack(chosen), shuffled(left, rng)[: n - len(chosen)]])
        chosen.append(drawn(chances, rng))
    return torch.stack(chosen)


@options("strategy")
@dataclass(frozen=True)
class LdmS(Strategy):
    """Candidates whose predicted class changes with the fewest others when noise is added to the last layer.

    They are drawn one after another, far from each other by the cosine distance of the net's features. The published
    code takes its `images` from the whole training set once a run; here they come from the pool, anew for each query.
    """

    images: Annotated[Count, Means("images, drawn at random, that stand for all when changes are counted")] = 4000
    patience: Annotated[Few, Means("draws of noise in a row that change nothing, after which the noise grows")] = 10
    max_candidates: Annotated[Count, Means("the most images that a query chooses from, drawn at random")] = 4000
    needs: ClassVar[Needs] = Needs(network=True, features=True)
    draws: ClassVar[bool] = True

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        require_head(self.name, net, x)

    @torch.inference_mode()
    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        x = features_of(fitted, pool, ids)
        every_id = torch.cat([pool.labelled, pool.unlabelled]).sort().values
        over = features_of(fitted, pool, shuffled(every_id, rng)[: self.images])
        metrics = least_disagree_metrics(x, over, head_of(fitted.network()), self.patience, rng)
        return ids[seeded(x, metrics, n, rng)]
