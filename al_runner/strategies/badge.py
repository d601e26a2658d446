"""BADGE: large gradients in different directions (Ash et al., 2020).

N candidates, Y classes, D features.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import features_of
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, mean_log_probs


@dataclass(frozen=True)
class Embeddings:
    """The vectors a_i (x) h_i of N images. They are never computed themselves: each would have Y D entries."""

    a: Tensor  # [N, Y]
    h: Tensor  # [N, D]

    @cached_property
    def squared_norms(self) -> Tensor:
        """Squared lengths of the vectors, [N]; raises ArithmeticError if one is not finite."""
        return finite(self.a.square().sum(1) * self.h.square().sum(1), "a gradient")

    def squared_distances(self, centre: Tensor) -> Tensor:
        """Squared distances to the vector at position `centre`, [N]; never below 0, in spite of rounding."""
        products = (self.a @ self.a[centre]) * (self.h @ self.h[centre])
        return (self.squared_norms + self.squared_norms[centre] - 2 * products).clamp_min(0)


def gradient_embeddings(log_probs: Tensor, features: Tensor) -> Embeddings:
    """Gradients of -ln p(yhat) with respect to the last dense layer's weights, from [N, Y] and [N, D].

    The gradient is (p - onehot(yhat)) (x) h, where yhat is the prediction and h the layer's input (Ash et al., 2020).
    """
    p = log_probs.exp()
    predicted = torch.nn.functional.one_hot(p.argmax(1), p.shape[1])
    return Embeddings(p - predicted, features)


def k_means_plus_plus(points: Embeddings, n: int, rng: torch.Generator, largest_first: bool = True) -> Tensor:
    """Positions of `n` points, [n], by the k-means++ rule (Arthur & Vassilvitskii, 2007).

    Each point is drawn with a chance in proportion to its squared distance to the nearest point chosen before. The
    first is the longest vector, or is drawn with equal chances. If all remaining points coincide with chosen ones, the
    next ones are drawn with equal chances. Time O(n N (Y + D)); memory besides the vectors O(N).
    """
    norms = points.squared_norms
    chances = (norms == norms.max()) if largest_first else torch.ones_like(norms)
    left, least = torch.ones_like(norms), torch.full_like(norms, torch.inf)
    chosen: list[Tensor] = []
    for _ in range(n):
        chosen.append(drawn(chances if bool(chances.any()) else left, rng))
        left[chosen[-1]] = 0
        least = torch.minimum(least, points.squared_distances(chosen[-1]))
        chances = least * left
    return torch.stack(chosen)


def drawn(chances: Tensor, rng: torch.Generator) -> Tensor:
    """A position drawn with relative `chances`, [N], at least one above 0; uses one number of `rng`."""
    steps = chances.double().cumsum(0)
    point = torch.rand(1, generator=rng, dtype=torch.float64).to(steps.device) * steps[-1]
    return torch.searchsorted(steps, point, right=True)[0].clamp_max(chances.nonzero().max())


@options("strategy")
@dataclass(frozen=True)
class Badge(Strategy):
    """The k-means++ centres among the candidates' gradient embeddings; the net's own predictions stand for the labels.

    A committee of several nets uses its mean prediction, and the features of all nets side by side.
    """

    first: Annotated[
        Literal["largest", "random"], Means("the first image: the longest gradient, or one drawn at random")
    ] = "largest"
    needs: ClassVar[Needs] = Needs(features=True)
    draws: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        log_probs = mean_log_probs(fitted.log_probs(pool.x(ids))).double()
        points = gradient_embeddings(log_probs, features_of(fitted, pool, ids).double())
        return ids[k_means_plus_plus(points, n, rng, self.first == "largest")]
