"""DropQuery: candidates whose predictions change under dropout, spread over clusters (Gupte et al., 2024).

N candidates, M draws of masks, D features, Y classes.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means, Share
from al_runner.strategies.base import Strategy
from al_runner.strategies.clusters import spread_or_filled
from al_runner.strategies.coverage import points
from al_runner.strategies.features import features_of, head_of, require_head
from al_runner.strategies.ranges import finite
from al_runner.types import Fitted

PREFERRED = 25  # there are enough unstable candidates if they are this many times the query's size


def changes(features: Tensor, head: nn.Module, masks: int, dropout: float, rng: torch.Generator) -> Tensor:
    """How many of the draws of dropout change the predicted class, [N, D] -> int64 [N] in 0 .. M.

    `head` turns features [N, D] into logits [N, Y]. Raises ArithmeticError if a logit without dropout is not finite.
    """
    predicted = finite(head(features), "an output").argmax(1)
    changed = torch.zeros_like(predicted)
    for _ in range(masks):
        kept = torch.rand(features.shape, generator=rng).to(features.device) >= dropout
        changed += head(features * kept / (1 - dropout)).argmax(1) != predicted
    return changed


def unstable(changed: Tensor, masks: int, enough: int) -> Tensor:
    """Positions of the points that more than half of the draws change, int64 [N] -> int64 [n].

    If these are fewer than `enough`, the bound on the number of changes is lowered step by step, down to one change.
    """
    for most in range(masks // 2, -1, -1):
        positions = (changed > most).nonzero()[:, 0]
        if len(positions) >= enough:
            break
    return positions


@options("strategy")
@dataclass(frozen=True)
class DropQuery(Strategy):
    """Chooses one image from every cluster of the candidates whose predictions change under dropout (algorithm 1).

    Dropout is applied to the inputs of the last dense layer. The clusters are those of the pool's features, scaled to
    length 1; there are as many as images in the query. With model=linear_probe both are the same features, as in the
    paper. If too few predictions change, the rest is drawn at random.
    """

    masks: Annotated[Few, Means("draws of dropout")] = 3
    dropout: Annotated[Share, Means("chance that a feature is left out")] = 0.75
    needs: ClassVar[Needs] = Needs(features=True, network=True)
    draws: ClassVar[bool] = True

    def check(self, net: nn.Module, x: Tensor) -> None:
        super().check(net, x)
        require_head(self.name, net, x)

    @torch.inference_mode()
    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = pool.candidates_by_id
        changed = changes(features_of(fitted, pool, ids), head_of(fitted.network()), self.masks, self.dropout, rng)
        some = torch.zeros_like(ids, dtype=torch.bool)
        some[unstable(changed, self.masks, PREFERRED * n)] = True
        return spread_or_filled(ids, some, points(pool, ids[some]), n, rng)
