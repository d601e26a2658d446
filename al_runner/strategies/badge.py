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

SKETCH, SAMPLED = 32, 1024  # axes that features are bounded on, and features that these are found from
ROUNDING = 1e-5  # of a bound in single precision, at most
FEW = 4


@dataclass(frozen=True)
class Embeddings:
    """The vectors a_i (x) h_i of N images. They are never computed themselves: each would have Y D entries."""

    a: Tensor  # [N, Y]
    h: Tensor  # [N, D]

    @cached_property
    def squared_norms(self) -> Tensor:
        """[N]; ArithmeticError where one is not finite."""
        return finite(self.a.square().sum(1) * self._lengths.square(), "a gradient")

    @cached_property
    def _lengths(self) -> Tensor:
        lengths: Tensor = torch.linalg.vector_norm(self.h, dim=1)
        return lengths

    def squared_distances(self, centre: Tensor, to: Tensor | None = None) -> Tensor:
        """Of all vectors, or those at the positions `to`, to that at `centre`, [N]; none below 0 by rounding."""
        a, h, norms = (self.a, self.h, self.squared_norms) if to is None else self._part(to)
        products = (a @ self.a[centre]) * (h @ self.h[centre])
        return (norms + self.squared_norms[centre] - 2 * products).clamp_min(0)

    def _part(self, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.a[to], self.h[to], self.squared_norms[to]

    @cached_property
    def _sketch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The a; the h on a few axes that hold most of them, [N, SKETCH]; the length of what lies off those; the norms.

        In single precision, which `ROUNDING` allows for.
        """
        some = self.h[:: max(1, len(self.h) // SAMPLED)]
        axes = some[:SKETCH].T
        for _ in range(2):  # power iterations: the axes turn to where the h are long
            axes = torch.linalg.qr(some.T @ (some @ axes))[0]
        along = (self.h @ axes).float()
        off = (self._lengths.square() - along.square().sum(1)).clamp_min(0).sqrt().float()
        return self.a.float(), along, off, self.squared_norms.float()

    def least_squared_distances(self, centre: Tensor) -> Tensor:
        """What no distance of `squared_distances` is below, [N], at a fraction of its cost.

        h.h' is at most o.o' + |r| |r'| by Cauchy and Schwarz, o being what lies on the axes of the sketch, r the rest.
        """
        a, along, off, norms = self._sketch
        share = a @ a[centre]
        most = share * (along @ along[centre]) + share.abs() * (off * off[centre])
        return (norms + norms[centre]) * (1 - ROUNDING) - 2 * most

    def lower(self, least: Tensor, centre: Tensor) -> None:
        """Where the vector at `centre` is nearer than `least`, [N], says, put its squared distance there."""
        near = (self.least_squared_distances(centre) < least).nonzero()[:, 0]
        some = near if len(near) * FEW < len(least) else None  # of many, picking out the rows costs more than it saves
        distances = self.squared_distances(centre, some)
        if some is None:
            torch.minimum(least, distances, out=least)
        else:
            least[some] = torch.minimum(least[some], distances)


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
    next ones are drawn with equal chances. A bound rules out most distances (Elkan, 2003, has such bounds for k-means):
    time O(n N (Y + SKETCH)), at worst O(n N (Y + D)); memory besides the vectors O(N SKETCH).
    """
    norms = points.squared_norms
    chances = (norms == norms.max()) if largest_first else torch.ones_like(norms)
    left, least = torch.ones_like(norms), torch.full_like(norms, torch.inf)
    chosen: list[Tensor] = []
    for _ in range(n):
        chosen.append(drawn(chances if bool(chances.any()) else left, rng))
        left[chosen[-1]] = 0
        if len(chosen) == n:
            break
        points.lower(least, chosen[-1])
        chances = least * left
    return torch.stack(chosen)


def drawn(chances: Tensor, rng: torch.Generator) -> Tensor:
    """A position drawn with relative `chances`, [N], at least one above 0; uses one number of `rng`.

    The sums are made on the CPU: a GPU adds in no fixed order, and may then draw another position.
    """
    steps = chances.double().cpu().cumsum(0)
    point = torch.rand(1, generator=rng, dtype=torch.float64) * steps[-1]
    position = torch.searchsorted(steps, point, right=True)[0]
    return position.to(chances.device).clamp_max(chances.nonzero().max())


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
