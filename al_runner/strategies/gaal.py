"""Generative adversarial active learning: images to be labelled are made, not chosen (Zhu & Bento, 2017).

n images in the query, Z latent numbers, Y = 2 classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import InstanceOf
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.generative.dcgan import BuildPair, Dcgan
from al_runner.generative.nets import Sizes
from al_runner.generative.parts import WHITE, require_pixels, stored
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import Choice
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, Learner, TrainData
from al_runner.wrapped import Wrapped, WrappedFit


@options("strategy")
@dataclass(frozen=True)
class Gaal(Strategy):
    """Makes images g(z) near the decision boundary: each search starts at a random z and lowers |f(g(z))|.

    f is the second class's logit less the first's; for a linear machine it is w'g(z) + b. Nearly every search can reach
    0, so it ends when |f| is below `enough`; the images of a query differ because their starts differ. The generator is
    trained once, on the unlabelled images of the first round.
    """

    recipe: Annotated[InstanceOf[Recipe], Means("how generator and discriminator are trained")]
    latent: Annotated[Count, Means("how many numbers a latent code has")] = 100
    maps: Annotated[Count, Means("filters of the nets' first convolution; the second has twice as many")] = 64
    units: Annotated[Count, Means("units of the nets' dense layers")] = 1024
    steps: Annotated[Count, Means("the most steps of Adam in a search")] = 100
    rate: Annotated[Positive, Means("learning rate of these steps")] = 0.05
    enough: Annotated[Positive, Means("a search ends when the logits differ by less than this")] = 0.01
    needs: ClassVar[Needs] = Needs(network=True)
    draws: ClassVar[bool] = True
    makes_images: ClassVar[bool] = True

    @property
    def sizes(self) -> Sizes:
        return Sizes(self.latent, self.maps, self.units)

    def check(self, net: nn.Module, x: Tensor) -> None:
        classes = net(x).shape[1]
        if classes != 2:
            raise UsageError(
                f"strategy=gaal makes images between two classes, and there are {classes}; "
                "use a data set of two, such as dataset=mnist_two_digits"
            )
        require_pixels(x.dtype, "strategy=gaal")

    def wrap(self, learner: Learner) -> Learner:
        return WithGenerator(learner, self)

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Choice:
        net = fitted.network()
        if not isinstance(net, NetAndGenerator):
            raise UsageError(
                "gaal makes images with a generator that its own wrap(learner) has trained; use al_runner.run"
            )
        first = torch.randn(n, self.latent, generator=streams("query")).to(pool.candidates.device)
        z, steps = self.search(net.difference, first)
        with torch.no_grad():
            after, before = net.difference(z).abs(), net.difference(first).abs()
        facts = {
            "difference": after.mean().item(),
            "difference_before": before.mean().item(),
            "search_steps": float(steps),
            "distance_apart": apart(net.made(z)),
        }
        return Choice(pool.candidates[:0], facts, stored(net.made(z)))

    def search(self, difference: Callable[[Tensor], Tensor], first: Tensor) -> tuple[Tensor, int]:
        """Latent codes of small |difference|, [n, Z] -> [n, Z], and the number of steps.

        `difference` is [n, Z] -> [n]. A code is not changed any more when its |difference| is below `enough`.
        """
        z = first.clone().requires_grad_()
        optimizer = torch.optim.Adam([z], lr=self.rate)
        for step in range(self.steps):
            size = difference(z).abs()
            far = size.detach() >= self.enough
            if not bool(far.any()):
                return z.detach(), step
            before = z.detach().clone()
            (z.grad,) = torch.autograd.grad(size.sum(), z)
            optimizer.step()
            with torch.no_grad():
                z.copy_(torch.where(far[:, None], z, before))
        return z.detach(), self.steps


@torch.no_grad()
def apart(images: Tensor) -> float:
    """The mean Euclidean distance between two images of a query, [n, C, H, W]; 0 if there is only one."""
    distances = torch.pdist(images.flatten(1))
    return distances.mean().item() if len(distances) else 0.0


class NetAndGenerator(nn.Module):
    """A net of two classes, with a generator. Its own output is the net's."""

    def __init__(self, net: nn.Module, generator: nn.Module):
        super().__init__()
        self.generator = generator
        self.net = net  # set last, so that the last dense layer of the module is the net's

    def forward(self, x: Tensor) -> Tensor:
        """Uint8 [N, C, H, W] -> logits [N, Y]."""
        logits: Tensor = self.net(x)
        return logits

    def made(self, z: Tensor) -> Tensor:
        """g(z), [n, Z] -> [n, C, H, W], values in (0, 1)."""
        with torch.no_grad():
            images: Tensor = self.generator(z)
        return images

    def difference(self, z: Tensor) -> Tensor:
        """f(g(z)), the second class's logit less the first's, [n, Z] -> [n]."""
        logits = self.net(WHITE * self.generator(z))
        difference: Tensor = logits[:, 1] - logits[:, 0]
        return difference


@dataclass(frozen=True)
class Beside(WrappedFit):
    """The fit of another learner, with the generator."""

    generator: nn.Module

    def network(self) -> nn.Module:
        return NetAndGenerator(self.fitted.network(), self.generator).eval()


@dataclass(frozen=True)
class WithGenerator(Wrapped):
    """Fits like `base`. The first fit of a process also trains the generator; it would be the same in every round."""

    options: Gaal

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Beside:
        if isinstance(previous, Beside):
            return Beside(await self.base.fit(data, streams, previous.fitted), previous.generator)
        generator = await self.generator(data, streams.first_round().of("generator"))
        return Beside(await self.base.fit(data, streams, previous), generator)

    async def generator(self, data: TrainData, streams: Streams) -> nn.Module:
        if data.unlabelled is None:
            raise ValueError("the generator is trained on unlabelled images, and there are none")
        x = data.unlabelled[:]
        y = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        images = TrainData(x, y, x[:1], y[:1])
        build = BuildPair((x.shape[1], x.shape[2], x.shape[3]), self.options.sizes)
        fit = Fit(build, self.options.recipe, images, streams, joint=Dcgan(self.options.latent))
        (result,) = await trained([fit])
        return result.net.eval().requires_grad_(False).get_submodule("generator")
