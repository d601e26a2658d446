"""VAAL: choose the images that look least like the labelled ones to an adversary (Sinha et al., 2019).

N images of C x H x W values.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.generative.vaal import BuildPlayers, Game
from al_runner.pool import Pool, top
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, NotNegative
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import chunks
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, TrainData


@options("strategy")
@dataclass(frozen=True)
class Vaal(Strategy):
    """The candidates that a discriminator takes most surely for unlabelled images.

    It sees only the codes that a variational autoencoder gives to images. The autoencoder learns to restore all images,
    and to give codes by which the discriminator can't tell. Both are trained anew in every round; the run's own net is
    not looked at.
    """

    recipe: Annotated[InstanceOf[Recipe], Means("how the autoencoder and the discriminator are trained")]
    latent: Annotated[Count, Means("how many numbers a latent code has")] = 32
    maps: Annotated[Count, Means("filters of the encoder's first convolution; every further one has twice as many")] = (
        128
    )
    units: Annotated[Count, Means("units of the discriminator's two hidden layers")] = 512
    steps: Annotated[
        Count,
        Means("steps of the autoencoder for one of the discriminator; a minibatch is split into as many parts"),
    ] = 2
    divergence_weight: Annotated[
        NotNegative,
        Means("weight of the codes' divergence from N(0, 1), a mean, beside the mean squared error of the images"),
    ] = 4096
    adversary_weight: Annotated[NotNegative, Means("weight of the loss by which codes become hard to tell")] = 1
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.recipe.batch_size < 2 * self.steps:  # BatchNorm has no variance of one image
            raise UsageError(
                f"strategy.recipe.batch_size={self.recipe.batch_size} gives fewer than two images to each of "
                f"strategy.steps={self.steps}; set strategy.recipe.batch_size={2 * self.steps} or more"
            )

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
        if not len(pool.labelled):
            raise UsageError(
                f"{self.name} looks for what is unlike the labelled images, and there are none; label some first"
            )
        ids = pool.candidates_by_id
        players = await self.players(pool, streams)
        of_candidates, of_labelled = logits(players, pool.x(ids)), logits(players, pool.x(pool.labelled))
        chosen = top(-of_candidates, n)
        facts = {
            "labelled_look_labelled": of_labelled.sigmoid().mean().item(),
            "candidates_look_labelled": of_candidates.sigmoid().mean().item(),
            "chosen_look_labelled": of_candidates[chosen].sigmoid().mean().item(),
        }
        return Choice(ids[chosen], facts)

    async def players(self, pool: Pool, streams: Streams) -> nn.Module:
        """The two nets (`Players`), trained on all labelled and unlabelled images, in evaluation mode."""
        x = pool.x(torch.cat([pool.labelled, pool.unlabelled]))
        y = (torch.arange(len(x), device=x.device) < len(pool.labelled)).long()
        low, high = (0.0, 255.0) if x.dtype == torch.uint8 else (x.min().item(), x.max().item())
        shape = x.shape[1], x.shape[2], x.shape[3]
        build = BuildPlayers(shape, self.latent, self.maps, self.units, low, high)
        game = Game(self.steps, self.divergence_weight, self.adversary_weight)
        fit = Fit(build, self.recipe, TrainData(x, y, x[:1], y[:1]), streams.of("players"), joint=game)
        (result,) = await trained([fit])
        return result.net.eval()


@torch.inference_mode()
def logits(players: nn.Module, x: Tensor) -> Tensor:
    """Above 0 for images that look labelled, [N, C, H, W] -> [N]. Raises ArithmeticError if one is not finite."""
    return finite(torch.cat([players(part)[:, 0] for part in chunks(x)]), "the discriminator's output")
