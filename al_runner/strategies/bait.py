"""BAIT: the batch after which the last layer's estimate has the least variance over the pool (Ash et al., 2021).

N images, Y classes, D features, E = Y D weights of the last dense layer; n images in a query. The Fisher matrix of an
image with respect to these weights, expected over its prediction p, is V V' with V = A (x) h, [E, Y]. Here h is the
layer's input and A[c, y] = sqrt(p_y) (1[c = y] - p_c). Huseljic et al. (2024) make V smaller, [E, R]. They take the
expectation over the two most likely classes alone (R = 2), or ask only whether the most likely class is right (R = 1,
E = D).
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
from al_runner.strategies.features import features_of, head_of, require_head
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import rows_within
from al_runner.types import Fitted, mean_log_probs

NUMBERS = 2**22  # the most numbers in a temporary tensor
MAX_WEIGHTS = 8192  # the most weights of the last layer; the inverted matrices have a row for each weight


@dataclass(frozen=True)
class Points:
    """The parts from which the matrices V of N images are computed."""

    a: Tensor  # [N, Y, R], or [N, 1, 1] for the binary question
    h: Tensor  # [N, D]

    @classmethod
    def of(cls, log_probs: Tensor, features: Tensor, expectation: str = "all") -> "Points":
        """From log predictions [N, Y], the last dense layer's inputs [N, D] and an option of `Bait`."""
        p = log_probs.exp()
        if expectation == "all":
            identity = torch.eye(p.shape[1], dtype=p.dtype, device=p.device)
            return cls(p.sqrt()[:, None] * (identity - p[:, :, None]), features)
        order = p.sort(1, descending=True)
        if expectation == "binary":  # 1 - p is summed from the other classes: for a sure net it would round to 0
            return cls((order.values[:, :1] * order.values[:, 1:].sum(1, keepdim=True)).sqrt()[:, None], features)
        top, chosen = order.indices[:, :2], order.values[:, :2]
        chances = chosen / chosen.sum(1, keepdim=True)  # those of the two classes are scaled to add to 1
        one_hot = torch.zeros(*p.shape, 2, dtype=p.dtype, device=p.device).scatter_(1, top[:, None], 1.0)
        return cls(chances.sqrt()[:, None] * (one_hot - p[:, :, None]), features)

    def __len__(self) -> int:
        return len(self.h)

    def split(self, numbers: int) -> list["Points"]:
        """The points in parts, each small enough for a temporary tensor with `numbers` numbers for each image."""
        rows = rows_within(NUMBERS, numbers)
        return [Points(a, h) for a, h in zip(self.a.split(rows), self.h.split(rows), strict=True)]

    def vectors(self, place: Tensor) -> Tensor:
        """V of one image, [E, R]."""
        return torch.einsum("cy,d->cdy", self.a[place], self.h[place]).flatten(0, 1)

    def times(self, columns: Tensor) -> Tensor:
        """V' C of every image for the matrix C = `columns`, [E, K] -> [N, R, K]."""
        by_class = columns.unflatten(0, (self.a.shape[1], -1))
        return self.a.mT @ torch.einsum("nd,cdr->ncr", self.h, by_class)

    def between(self, matrix: Tensor) -> Tensor:
        """V' M V of every image for M = `matrix`, [E, E] -> [N, R, R]."""
        classes, size = self.a.shape[1], self.h.shape[1]
        products = []
        for part in self.split(len(matrix) * classes):
            right = torch.einsum("nd,cdk->nck", part.h, matrix.reshape(classes, size, -1)).unflatten(2, (classes, size))
            products.append(part.a.mT @ (right @ part.h[:, None, :, None])[..., 0] @ part.a)
        return torch.cat(products)

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
    """The lower Cholesky factor, [E, E]; raises ArithmeticError if rounding has made the matrix indefinite."""
    factor, trouble = torch.linalg.cholesky_ex(matrix)
    if int(trouble):
        raise ArithmeticError("rounding has made a Fisher matrix indefinite; raise strategy.damping")
    lower: Tensor = factor
    return lower


class Trace:
    """tr(M^-1 F) while images enter and leave M. By Woodbury's identity a change of M costs only R new columns.

    `inner` holds V' M^-1 V of every image and `outer` holds V' M^-1 F M^-1 V, [N, R, R] each.
    """

    def __init__(self, points: Points, start: Tensor, fisher: Tensor):
        self.points, self.fisher = points, fisher
        self.inverse = torch.cholesky_inverse(cholesky(start))
        self.inner = points.between(self.inverse)
        self.outer = points.between(self.inverse @ fisher @ self.inverse)

    def falls(self, places: Tensor, sign: int) -> Tensor:
        """How far the trace falls if one image alone enters M (`sign` 1) or leaves it (-1), for each, [K] -> [K]."""
        inner, outer = self.inner[places], self.outer[places]
        identity = torch.eye(inner.shape[1], dtype=inner.dtype, device=inner.device)
        fall: Tensor = sign * torch.linalg.solve(identity + sign * inner, outer).diagonal(dim1=1, dim2=2).sum(1)
        return fall

    def change(self, place: Tensor, sign: int) -> None:
        """Let the image at `place` enter M (`sign` 1) or leave it (-1)."""
        identity = torch.eye(self.inner.shape[1], dtype=self.inner.dtype, device=self.inner.device)
        factor = cholesky(identity + sign * self.inner[place])
        new = torch.linalg.solve_triangular(factor, (self.inverse @ self.points.vectors(place)).T, upper=False).T
        moved = self.fisher @ new
        p, z = self.points.times(new), self.points.times(self.inverse @ moved)
        self.inverse = self.inverse - sign * new @ new.T
        self.inner = self.inner - sign * p @ p.mT
        self.outer = self.outer - sign * (p @ z.mT + z @ p.mT) + p @ (new.T @ moved) @ p.mT


def bait(points: Points, start: Tensor, fisher: Tensor, n: int) -> Tensor:
    """Positions of `n` images that make tr((start + sum V V')^-1 fisher) small, [E, E] twice -> [n] (algorithm 1).

    Greedy: 2n images enter one by one, then those that cost least leave again one by one. Ties go to the earlier image.
    Time O(N E^2) at first, then O(n (N R E + R E^2)).
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
    """The batch of candidates with the least tr(M^-1 F), with respect to the last dense layer's weights.

    F is the mean Fisher matrix of the labelled set and the pool together. M is the mean Fisher matrix of the labelled
    set and the batch together, plus `damping` times the identity.
    """

    damping: Annotated[Positive, Means("this many times the identity is added to M; an absolute number")] = 1.0
    weights: Annotated[
        Literal["published", "equal"],
        Means("published: a candidate's matrix counts times the query's size; equal: once, like a labelled image's"),
    ] = "published"
    expectation: Annotated[
        Literal["all", "top2", "binary"],
        Means("all: over all classes; top2: over the two most likely ones; binary: whether the most likely is right"),
    ] = "all"
    max_candidates: Annotated[Count, Means("the most images that a query chooses from, drawn at random")] = 10_000
    needs: ClassVar[Needs] = Needs(network=True, features=True)

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        require_head(self.name, net, x)
        last = head_of(net)
        rows = last.in_features if self.expectation == "binary" else last.weight.numel()
        if rows > MAX_WEIGHTS:
            what = "input" if self.expectation == "binary" else "weight"
            raise UsageError(
                f"Bait inverts a matrix with a row for each {what} of the last dense layer: {rows:,} here and at most "
                f"{MAX_WEIGHTS:,}; choose strategy=bait_binary, a model= with fewer features, or strategy=badge"
            )

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id  # so that ties don't depend on the order
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
        points = Points.of(log_probs, features_of(fitted, pool, ids).double(), self.expectation)
        return replace(points, a=finite(points.a, "a prediction"))
