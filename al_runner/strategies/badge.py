"""BADGE: large gradients in different directions (Ash et al., 2020).

N candidates, Y classes, D features.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from al_runner.needs import Needs
from al_runner.pool import Pool, shuffled
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import features_of
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import rows_within
from al_runner.types import Fitted, mean_log_probs

TRIES = 256  # proposals that are compared with each other at once
FEW = TRIES // 16  # with fewer choices among them, new bounds cost less than more proposals
NUMBERS = 2**18  # the most distances that are held at once while bounds are lowered
ROUNDING = 1e-13  # a squared distance below this share of the squared norms is rounding


@dataclass(frozen=True)
class Embeddings:
    """The vectors a_i (x) h_i of N images. They are never computed themselves: each would have Y D entries."""

    a: Tensor  # [N, Y]
    h: Tensor  # [N, D]

    @cached_property
    def squared_norms(self) -> Tensor:
        """[N]; ArithmeticError where one is not finite."""
        lengths: Tensor = torch.linalg.vector_norm(self.h, dim=1)
        return finite(self.a.square().sum(1) * lengths.square(), "a gradient")

    def __getitem__(self, places: Tensor | slice) -> "Embeddings":
        return Embeddings(self.a[places], self.h[places])

    def squared_distances(self, to: "Embeddings") -> Tensor:
        """Of each vector to each of M others, [N, M]; 0 where rounding explains the distance."""
        norms = self.squared_norms[:, None] + to.squared_norms
        distances = torch.addcmul(norms, self.a @ to.a.T, self.h @ to.h.T, value=-2)
        return distances.where(distances > ROUNDING * norms, 0)

    def nearest(self, to: "Embeddings") -> Tensor:
        """The squared distance of each vector to the nearest of M others, [N]."""
        rows = rows_within(NUMBERS, len(to.a))
        parts = (self[first : first + rows] for first in range(0, len(self.a), rows))
        return torch.cat([part.squared_distances(to).amin(1) for part in parts])


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
    next ones are drawn with equal chances.

    Distances can only fall, so the distances to the first choices are bounds. The bounds are the chances of proposals,
    which `accepted` corrects. All bounds are lowered, in one matrix product, only when most proposals fail. Between two
    such times the mean distance falls to about a sixteenth, so they are few.
    """
    norms = points.squared_norms
    first = norms == norms.max() if largest_first else torch.ones_like(norms)
    chosen, counted = drawn(first, rng)[None], 0
    bounds = torch.full_like(norms, torch.inf)
    accepts = 0
    while len(chosen) < n:
        if accepts < FEW:
            bounds = torch.minimum(bounds, points.nearest(points[chosen[counted:]]))
            bounds[chosen], counted = 0, len(chosen)
        if not bool(bounds.any()):
            left = torch.ones_like(norms).index_fill(0, chosen, 0).nonzero()[:, 0]
            return torch.cat([chosen, shuffled(left, rng)[: n - len(chosen)]])
        more = accepted(points, bounds, chosen[counted:], n - len(chosen), rng)
        accepts, chosen = len(more), torch.cat([chosen, more])
    return chosen


def accepted(points: Embeddings, bounds: Tensor, chosen: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """The first `most` positions that are accepted among TRIES proposals: what the k-means++ rule draws next.

    A position is proposed with a chance in proportion to its bound, [N], and accepted with the chance d / bound. So it
    is drawn with a chance in proportion to d (von Neumann, 1951). d is the least of the bound and the squared distances
    to `chosen` and to the positions accepted before it. If `chosen` is empty, the first proposal is accepted.
    """
    places = drawn(bounds, rng, TRIES)
    others, bound = torch.cat([places, chosen]), bounds[places]
    between = points[places].squared_distances(points[others]).masked_fill(places[:, None] == others, 0)
    near = torch.cat([bound[:, None], between[:, TRIES:]], dim=1).amin(1).cpu()
    between, found = between.cpu(), list[int]()
    levels = torch.rand(TRIES, generator=rng, dtype=torch.float64) * bound.cpu()
    left = (levels < near).nonzero()[:, 0]
    while len(left) and len(found) < most:
        found.append(int(left[0]))
        left = left[1:]
        left = left[levels[left] < between[left, found[-1]]]
    return places[found]


def drawn(chances: Tensor, rng: torch.Generator, count: int | None = None) -> Tensor:
    """A position drawn with relative `chances`, [N], at least one above 0, or `count` such positions.

    Uses one number of `rng` for each. The sums are made on the CPU: a GPU adds in no fixed order, and may then draw
    another position.
    """
    steps = chances.double().cpu().cumsum(0)
    points = torch.rand(1 if count is None else count, generator=rng, dtype=torch.float64) * steps[-1]
    positions = torch.searchsorted(steps, points, right=True).to(chances.device).clamp_max(chances.nonzero().max())
    return positions[0] if count is None else positions


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
