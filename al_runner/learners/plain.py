"""One net, trained from scratch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from al_runner.rng import Streams
from al_runner.types import Fit, Recipe, TrainData, chunks, trained


@dataclass(frozen=True)
class SingleNet:
    """A trained net as a posterior of one sample."""

    net: nn.Module
    steps: int

    @torch.inference_mode()
    def log_probs(self, x: Tensor) -> Tensor:
        """Uint8 [N, C, H, W] -> [N, 1, Y]."""
        logits = torch.cat([self.net(part) for part in chunks(x)])
        return logits.log_softmax(-1)[:, None]

    def network(self) -> nn.Module:
        return self.net


@dataclass(frozen=True)
class Plain:
    """One net by one recipe."""

    build: Callable[[], nn.Module]
    recipe: Recipe

    async def fit(self, data: TrainData, streams: Streams) -> SingleNet:
        (result,) = await trained([Fit(self.build, self.recipe, data, streams)])
        return SingleNet(result.net.eval(), result.steps)
