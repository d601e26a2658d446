"""FALCUN: uncertain images whose predictions differ from each other (Gilhuber et al., 2024).

N candidates, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, NotNegative
from al_runner.strategies.badge import drawn
from al_runner.strategies.base import Strategy
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted, mean_log_probs


def contrastive(probs: Tensor, n: int, gamma: float, rng: torch.Generator) -> Tensor:
    """Positions of `n` points, each drawn with a chance in proportion to (u + d)^gamma, [N, Y] -> [n] (equation 6).

    u is 1 minus the margin. d begins as u, and is then the least L1 distance to a choice if that is smaller. In the
    sum, d is scaled so that the points left have values from 0 to 1; the unscaled d is what later distances are
    compared with. If all chances are 0, they are made equal. If only every d is 0, the chances depend on u alone; the
    published code then makes them equal.
    """
    first, second = probs.topk(2).values.unbind(1)
    unsure = 1 - (first - second)
    far, left = unsure.clone(), torch.ones_like(unsure, dtype=torch.bool)
    chosen: list[Tensor] = []
    for _ in range(n):
        relevance = (unsure + scaled(far, left)) * left
        chances = (relevance / relevance.max()) ** gamma * left if bool(relevance.any()) else left.to(probs.dtype)
        chosen.append(drawn(chances, rng))
        left[chosen[-1]] = False
        far = torch.minimum(far, (probs - probs[chosen[-1]]).abs().sum(1))
    return torch.stack(chosen)


def scaled(values: Tensor, left: Tensor) -> Tensor:
    """The values, shifted and scaled so that those of `left` are 0 .. 1, [N]; 0 if they are all equal."""
    low, high = values[left].aminmax()
    return (values - low) / (high - low) if bool(high > low) else torch.zeros_like(values)


@options("strategy")
@dataclass(frozen=True)
class Falcun(Strategy):
    """Draws uncertain candidates, as long as their predictions differ from those of the ones drawn before.

    It asks for predictions alone, so a query takes time O(n N Y).
    """

    gamma: Annotated[NotNegative, Means("exponent of the chances; 0: all are equal, large: the highest is taken")] = (
        10.0
    )
    draws: ClassVar[bool] = True

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        log_probs = mean_log_probs(fitted.log_probs(pool.x(ids))).double()
        return ids[contrastive(finite(log_probs.exp(), "a probability"), n, self.gamma, rng)]
