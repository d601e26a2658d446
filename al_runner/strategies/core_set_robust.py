"""Core-set with outliers: the k-center problem as mixed-integer programmes (Sener & Savarese, 2018).

N candidates, L labelled images, D features. The radius of a choice is the largest distance from a candidate to its
closest centre; outliers do not count.
"""

import logging
from dataclasses import dataclass, replace
from math import ceil
from time import perf_counter
from typing import Annotated, ClassVar

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, hstack
from torch import Tensor

from al_runner.budget import Budget
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive, Share
from al_runner.strategies.base import Strategy
from al_runner.strategies.core_set import k_center, nearest
from al_runner.strategies.features import features_of
from al_runner.types import Fitted

log = logging.getLogger(__name__)

SOLVED, INFEASIBLE = 0, 2  # values of the status that scipy.optimize.milp returns


@dataclass(frozen=True)
class Cover:
    """A choice of centres, and how good the best choice can be."""

    chosen: Tensor  # positions of candidates, [n]
    radius: float
    bound: float  # no choice has a smaller radius
    programmes: int = 0  # how many were solved
    undecided: int = 0  # how many of them the time limit ended

    @property
    def gap(self) -> float:
        """The share of this radius by which the best one may be smaller, in [0, 1]; 0: this is the best."""
        return 1 - self.bound / self.radius if self.radius > self.bound else 0.0


@dataclass(frozen=True)
class Problem:
    """All candidates but `outliers` must be close to one of `n` new centres or to a labelled image; float64."""

    between: Tensor  # distances of the candidates, [N, N]
    labelled: Tensor  # distance to the closest labelled image, infinite if there is none, [N]
    n: int
    outliers: int

    def radius(self, chosen: Tensor, outliers: int) -> float:
        """The radius of the centres `chosen` if the `outliers` farthest candidates do not count."""
        least = torch.minimum(self.labelled, self.between[:, chosen].amin(1)) if len(chosen) else self.labelled
        kept = len(least) - outliers
        return float(least.kthvalue(kept).values) if kept > 0 else 0.0

    def next_distance(self, delta: float) -> float:
        """The smallest distance above `delta`. For every radius between the two the possible choices are the same."""
        above = (part[part > delta] for part in (self.between, self.labelled))
        return min(float(part.min()) for part in above if len(part))

    def within(self, delta: float, seconds: float) -> tuple[Tensor | None, bool]:
        """Positions of at most `n` centres whose radius is at most `delta`, and whether the question is decided.

        None and True: there are no such centres. None and False: `seconds` were not enough to find out.
        It solves the programme of the paper: y_j = 1 if j is a centre, z_i = 1 if i is an outlier.
        """
        open_ = (self.labelled > delta).nonzero()[:, 0]
        rows, columns = (self.between[open_] <= delta).nonzero().numpy().T
        candidates = len(self.labelled)
        covering = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(open_), candidates))
        is_centre = np.repeat([1.0, 0.0], [candidates, len(open_)])
        result = milp(
            np.zeros(len(is_centre)),
            integrality=is_centre,  # with every y whole, no z between 0 and 1 is needed
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(hstack([covering, eye_array(len(open_))]).tocsr(), lb=1),
                LinearConstraint(is_centre, ub=self.n),
                LinearConstraint(1 - is_centre, ub=self.outliers),
            ],
            options={"time_limit": seconds},
        )
        if result.x is not None:
            chosen = torch.from_numpy(result.x[:candidates] > 0.5).nonzero()[:, 0]
            # Checked exactly, because the solver has a tolerance.
            if len(chosen) <= self.n and self.radius(chosen, self.outliers) <= delta:
                return chosen, True
        return None, result.status == INFEASIBLE


def robust_k_center(x: Tensor, centres: Tensor, n: int, outliers: int, gap: float, seconds: float) -> Cover:
    """`n` new centres whose radius without `outliers` points is within `gap` of the best, [N, D], [L, D] in float64.

    Bisection between the best radius so far and a bound that no radius is below; every step solves one programme in at
    most `seconds`. A programme that is not decided in time counts as impossible, but does not move the bound. Greedy
    k-center gives both ends. Let r be its radius after n + outliers points. These points and the farthest remaining one
    are at least r from each other and from `centres`. Without the outliers, two of them share a centre, so one of the
    two is at least r / 2 from it.
    """
    between = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").cpu()
    problem = Problem(between, nearest(x, centres).cpu(), n, outliers)
    greedy = k_center(x, centres, min(n + outliers, len(x))).cpu()
    best = Cover(greedy[:n], problem.radius(greedy[:n], outliers), problem.radius(greedy, 0) / 2)
    low = best.bound
    while best.radius - low > gap * best.radius:
        delta = min((low + best.radius) / 2, float(np.nextafter(best.radius, 0)))
        chosen, decided = problem.within(delta, seconds)
        best = replace(best, programmes=best.programmes + 1, undecided=best.undecided + (not decided))
        if chosen is not None:
            rest = k_center(x, torch.cat([centres, x[chosen.to(x.device)]]), n)[: n - len(chosen)].cpu()
            chosen = torch.cat([chosen, rest])
            best = replace(best, chosen=chosen, radius=problem.radius(chosen, outliers))
        else:
            low = problem.next_distance(delta)
            best = replace(best, bound=low) if decided else best
    return best


@options("strategy")
@dataclass(frozen=True)
class CoreSetRobust(Strategy):
    """The centres with the smallest radius for all but a share of the candidates; labelled images are centres already.

    Every query writes to the log how far its choice may be from the best.
    """

    outliers: Annotated[Share, Means("share of the candidates that need no centre nearby, rounded up")] = 1e-4
    gap: Annotated[Share, Means("the search ends once the best radius can be smaller by this share at most")] = 0.01
    time_limit: Annotated[
        Positive,
        Means("seconds for each of about log2(1 / gap) programmes; if one needs more, the machine affects the choice"),
    ] = 60.0
    max_candidates: Annotated[
        Count,
        Means("the most images that a query chooses from, drawn at random; time and memory grow with their square"),
    ] = 5000
    needs: ClassVar[Needs] = Needs(features=True)

    def plan(self, budget: Budget) -> Budget:
        return budget.choosing_from(self.max_candidates)

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        start, ids = perf_counter(), pool.candidates_by_id
        x, centres = (features_of(fitted, pool, part).double() for part in (ids, pool.labelled))
        outliers = ceil(self.outliers * len(ids))
        cover = robust_k_center(x, centres, n, outliers, self.gap, self.time_limit)
        log.info(
            "core-set: radius %.4g for all but %d of %d candidates, at best %.4g (gap %.1f %%); "
            "%d programmes, %d ended by the limit of %g s, %.1f s in total",
            *(cover.radius, outliers, len(ids), cover.bound, 100 * cover.gap),
            *(cover.programmes, cover.undecided, self.time_limit, perf_counter() - start),
        )
        return ids[cover.chosen.to(ids.device)]
