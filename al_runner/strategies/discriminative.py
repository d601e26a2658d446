"""Discriminative active learning: choose what looks least like the labelled set (Gissin & Shalev-Shwartz, 2019).

P points: the labelled images and the candidates together. D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.needs import Needs
from al_runner.pool import Pool, class_shares, top
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means
from al_runner.strategies.base import Strategy
from al_runner.strategies.features import features_of
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, TrainData


@options("strategy")
@dataclass(frozen=True)
class Discriminative(Strategy):
    """The candidates that look most clearly unlabelled to a classifier, in several mini-queries (algorithm 1).

    Every mini-query trains a new classifier of labelled against unlabelled features; earlier mini-queries' choices
    count as labelled. It sees at most `subsample` random candidates for every labelled image, and chooses among these,
    as the published code does.
    """

    recipe: Annotated[
        InstanceOf[Recipe],
        Means("how the classifier is trained; training ends at target_error on its own training images"),
    ]
    hidden: Annotated[Sequence[Count], Means("units of the classifier's hidden layers")] = (256, 256, 256)
    mini_queries: Annotated[
        Count, Means("parts of a query, each with a new classifier; at most one for every image of the query")
    ] = 20
    subsample: Annotated[
        Count, Means("candidates that a classifier sees for every labelled image, drawn again for each classifier")
    ] = 10
    needs: ClassVar[Needs] = Needs(features=True)
    draws: ClassVar[bool] = True

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor:
        points = torch.cat([pool.labelled, pool.candidates_by_id])
        x = features_of(fitted, pool, points).float()
        labelled = torch.arange(len(points), device=x.device) < len(pool.labelled)
        chosen = []
        for part, size in enumerate(class_shares(n, min(n, self.mini_queries))):
            chosen.append(await self.mini_query(x, labelled, size, streams.of(f"mini-query {part}")))
            labelled[chosen[-1]] = True
        return points[torch.cat(chosen)]

    async def mini_query(self, x: Tensor, labelled: Tensor, size: int, streams: Streams) -> Tensor:
        """Positions of the `size` points that look most clearly unlabelled, [P, D] and bool [P] -> [size]."""
        known, others = labelled.nonzero()[:, 0], (~labelled).nonzero()[:, 0]
        order = torch.randperm(len(others), generator=streams("query")).to(x.device)
        subset = others[order[: max(size, self.subsample * len(known))]]
        seen = torch.cat([x[known], x[subset]])
        y = (torch.arange(len(seen), device=x.device) >= len(known)).long()
        build = partial(classifier, x.shape[1], tuple(self.hidden))
        (result,) = await trained([Fit(build, self.recipe, TrainData(seen, y, seen, y), streams)])
        with torch.inference_mode():
            is_labelled, is_not = result.net.eval()(x[subset]).unbind(1)
        # The odds order images as the probability does, and still differ if it is rounded to 1.
        return subset[top(is_not - is_labelled, size)]


def classifier(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Dense layers with ReLU between, from features [N, inputs] to logits of "labelled" and "unlabelled", [N, 2]."""
    layers: list[nn.Module] = []
    for before, width in pairwise((inputs, *hidden)):
        layers += [nn.Linear(before, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear((inputs, *hidden)[-1], 2))
