"""BAIT: the batch that leaves the last layer's estimate the least variance over the pool (Ash et al., 2021).

N images, Y classes, D features, E = Y D weights of the last dense layer; n images of a query. By these weights the
Fisher matrix of an image, expected over its prediction p, is V V' with V = A (x) h, [E, Y], where h is what the layer
sees and A[c, y] = sqrt(p_y) (1[c = y] - p_c).
"""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import features_of
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, mean_log_probs, rows_within

NUMBERS = 2**22  # computed at a time
MOST = 8192  # weights of the last layer whose square matrices are inverted


@dataclass(frozen=True)
class Points:
    """What the vectors V of N images are made of."""

    a: Tensor  # [N, Y, Y]
    h: Tensor  # [N, D]

    @classmethod
    def of(cls, log_probs: Tensor, features: Tensor) -> "Points":
        """From predictions [N, Y] and what the last dense layer sees, [N, D]."""
        p = log_probs.exp()
        identity = torch.eye(p.shape[1], dtype=p.dtype, device=p.device)
        return cls(p.sqrt()[:, None] * (identity - p[:, :, None]), features)

    def __len__(self) -> int:
        return len(self.h)

    def split(self, numbers: int) -> list["Points"]:
        """In parts of so many images that each image may take `numbers`."""
        few = rows_within(NUMBERS, numbers)
        return [Points(a, h) for a, h in zip(self.a.split(few), self.h.split(few), strict=True)]

    def vectors(self, place: Tensor) -> Tensor:
        """V of one image, [E, Y]."""
        return torch.einsum("cy,d->cdy", self.a[place], self.h[place]).flatten(0, 1)

    def times(self, columns: Tensor) -> Tensor:
        """V' K of every image, [E, R] -> [N, Y, R]."""
        by_class = columns.unflatten(0, (self.a.shape[1], -1))
        return self.a.mT @ torch.einsum("nd,cdr->ncr", self.h, by_class)

    def between(self, matrix: Tensor) -> Tensor:
        """V' M V of every image, [E, E] -> [N, Y, Y]."""
        classes, size = self.a.shape[1], self.h.shape[1]
        found = []
        for part in self.split(len(matrix) * classes):
            right = torch.einsum("nd,cdk->nck", part.h, matrix.reshape(classes, size, -1)).unflatten(2, (classes, size))
            found.append(part.a.mT @ (right @ part.h[:, None, :, None])[..., 0] @ part.a)
        return torch.cat(found)

    def fisher(self) -> Tensor:
        """The sum of V V' over all images, [E, E]."""
        classes, size = self.a.shape[1], self.h.shape[1]
        total = self.h.new_zeros(classes, size, classes * size)
        for part in self.split(len(total) * size):
            outer = part.a @ part.a.mT
            for c in range(classes):
                total[c] += part.h.T @ (outer[:, c, :, None] * part.h[:, None]).flatten(1)
        return total.flatten(0, 1)


def cholesky(matrix: Tensor) -> Tensor:
    """The lower factor, [E, E]; ArithmeticError for a matrix that rounding has made indefinite."""
    factor, trouble = torch.linalg.cholesky_ex(matrix)
    if int(trouble):
        raise ArithmeticError("rounding has made a Fisher matrix indefinite; raise strategy.damping")
    lower: Tensor = factor
    return lower


class Trace:
    """tr(M^-1 F) as images enter and leave M; by Woodbury's identity never more than Y columns are new.

    `inner` holds V' M^-1 V of every image and `outer` V' M^-1 F M^-1 V, [N, Y, Y] each.
    """

    def __init__(self, points: Points, start: Tensor, fisher: Tensor):
        self.points, self.fisher = points, fisher
        self.inverse = torch.cholesky_inverse(cholesky(start))
        self.inner = points.between(self.inverse)
        self.outer = points.between(self.inverse @ fisher @ self.inverse)

    def falls(self, places: Tensor, sign: int) -> Tensor:
        """By how much each image alone makes the trace fall if it enters M (`sign` 1) or leaves it (-1), [K] -> [K]."""
        inner, outer = self.inner[places], self.outer[places]
        identity = torch.eye(inner.shape[1], dtype=inner.dtype, device=inner.device)
        fall: Tensor = sign * torch.linalg.solve(identity + sign * inner, outer).diagonal(dim1=1, dim2=2).sum(1)
        return fall

    def change(self, place: Tensor, sign: int) -> None:
        """Let an image enter M, or leave it."""
        identity = torch.eye(self.inner.shape[1], dtype=self.inner.dtype, device=self.inner.device)
        factor = cholesky(identity + sign * self.inner[place])
        new = torch.linalg.solve_triangular(factor, (self.inverse @ self.points.vectors(place)).T, upper=False).T
        moved = self.fisher @ new
        p, z = self.points.times(new), self.points.times(self.inverse @ moved)
        self.inverse = self.inverse - sign * new @ new.T
        self.inner = self.inner - sign * p @ p.mT
        self.outer = self.outer - sign * (p @ z.mT + z @ p.mT) + p @ (new.T @ moved) @ p.mT


def bait(points: Points, start: Tensor, fisher: Tensor, n: int) -> Tensor:
    """Positions of `n` images for the least tr((start + sum V V')^-1 fisher), [E, E] twice -> [n] (algorithm 1).

    Greedy: twice as many enter, one by one, and those whose loss costs least leave again. Equals: the earlier one. Time
    O(N E^2) and then O(n (N Y E + Y E^2)).
    """
    trace = Trace(points, start, fisher)
    everyone = torch.arange(len(points), device=start.device)
    outside = torch.ones(len(points), dtype=torch.bool, device=start.device)
    entered: list[Tensor] = []
    for _ in range(min(2 * n, len(points))):
        best = trace.falls(everyone, 1).masked_fill(~outside, -torch.inf).argmax()
        trace.change(best, 1)
        outside[best] = False
        entered.append(best)
    while len(entered) > n:
        least = int(trace.falls(torch.stack(entered), -1).argmax())
        trace.change(entered.pop(least), -1)
    return torch.stack(entered)


@options("strategy")
@dataclass(frozen=True)
class Bait(Strategy):
    """Of the candidates, the batch of least tr(M^-1 F) by the last dense layer's weights.

    F is the mean Fisher matrix of the pool, labelled images included; M that of the labelled images and of the batch
    together, plus `damping` times the identity.
    """

    damping: Annotated[Positive, Means("what is added to M times the identity, absolute")] = 1.0
    weights: Annotated[
        Literal["published", "equal"],
        Means("how often a candidate's matrix counts: as often as the query has images, or once as a labelled one's"),
    ] = "published"
    max_candidates: Annotated[Count, Means("images that a query chooses from at most, drawn at random")] = 10_000
    needs: ClassVar[Needs] = Needs(network=True, features=True)

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]
        if last.weight.numel() > MOST:
            raise UsageError(
                f"Bait inverts matrices of as many rows as the last dense layer has weights, {last.weight.numel():,} "
                f"here and at most {MOST:,}; take a model= of fewer features, or strategy=badge"
            )

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id  # so that equals don't depend on the order
        known, others = (self._points(fitted, pool, part) for part in (pool.labelled, pool.unlabelled))
        at = torch.searchsorted(pool.unlabelled, ids)
        total = len(known) + n
        counted = (n if self.weights == "published" else 1) / total
        candidates = Points(others.a[at] * counted**0.5, others.h[at])
        of_labelled = known.fisher()
        fisher = (of_labelled + others.fisher()) / (len(known) + len(others))
        identity = torch.eye(len(fisher), dtype=fisher.dtype, device=fisher.device)
        return ids[bait(candidates, self.damping * identity + of_labelled / total, fisher, n)]

    def _points(self, fitted: Fitted, pool: Pool, ids: Tensor) -> Points:
        log_probs = mean_log_probs(fitted.log_probs(pool.x(ids))).double()
        points = Points.of(log_probs, features_of(fitted, pool, ids).double())
        return replace(points, a=finite(points.a, "a prediction"))
