"""LfOSA: choose images that are of a known class, where others lie in the pool, too (Ning et al., 2022).

N images of C x H x W values, Y known classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar
from warnings import catch_warnings

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.models.dense import last_dense
from al_runner.needs import Needs
from al_runner.pool import Pool
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means, Positive
from al_runner.strategies.base import Strategy
from al_runner.strategies.ranges import finite
from al_runner.strategies.rewriting import rewriting
from al_runner.system.chunks import chunks
from al_runner.training import Fit, Recipe, trained
from al_runner.types import Fitted, Learner, TrainData
from al_runner.wrapped import Wrapped, WrappedFit, inner, part_of


@options("strategy")
@dataclass(frozen=True)
class LfOSA(Strategy):
    """The candidates that a detector takes most surely for images of a known class.

    The detector is a new net in every round, with one more output than the run's. That output is for the images that
    were bought and are of no class (pool=open_set). It is trained as the run's net is, but where that training ends by
    the validation error, it takes the error on its own training images.
    """

    temperature: Annotated[
        Positive, Means("that divides the detector's outputs in training; below 1 they grow less large")
    ] = 0.5
    needs: ClassVar[Needs] = Needs(extendable=True)
    draws: ClassVar[bool] = True

    def check(self, net: nn.Module, x: Tensor) -> None:
        layer = last_dense(net)
        if layer is None or layer.out_features != net(x).shape[1]:
            raise UsageError(f"{self.name} needs a net whose last layer is dense; use another model=")

    def wrap(self, learner: Learner) -> Learner:
        return Noting(learner)

    async def query(self, fitted: Fitted, pool: Pool, n: int, streams: Streams) -> Tensor:
        ids = pool.candidates_by_id
        net = await self.detector(fitted, pool, streams.of("detector"))
        with torch.inference_mode():
            outputs = torch.cat([net(part) for part in chunks(pool.x(ids))])
        return ids[surest(finite(outputs, "the detector's output"), n, streams("query"))]

    async def detector(self, fitted: Fitted, pool: Pool, streams: Streams) -> nn.Module:
        """A net that tells the known classes and, by its last output, images of none: [N, C, H, W] -> [N, Y + 1]."""
        noted = part_of(fitted, NotedFit)
        if noted is None:
            raise UsageError("lfosa trains a detector as its own wrap(learner) trains nets; use al_runner.run")
        x = pool.x(torch.cat([pool.labelled, pool.rejected]))
        y = torch.cat([pool.y(pool.labelled), torch.full_like(pool.rejected, pool.classes)])
        build = DetectorBuilder(noted.build, pool.classes + 1, self.temperature)
        (result,) = await trained([Fit(build, noted.recipe, TrainData(x, y, x, y), streams)])
        return result.net.eval()


def surest(outputs: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Positions of the `n` images that are most surely of a known class, [N, Y + 1] -> [n], the surest first.

    The images that the detector takes for a class have a mixture of two normal distributions of their highest output.
    An image is as sure as it is likely to be of the one with the larger mean. It is 0 for an image that the detector
    takes for none of the classes, or that is alone in its class. Of equally sure images, those with the highest output
    of a known class come first.
    """
    highest, predicted = outputs.double().cpu().max(1)
    known = outputs.shape[1] - 1
    sure = torch.zeros_like(highest)
    for label in range(known):
        places = (predicted == label).nonzero()[:, 0]
        if len(places) > 1:
            sure[places] = of_the_larger_mean(highest[places], rng)
    by_output = outputs[:, :known].max(1).values.cpu().argsort(descending=True, stable=True)
    order = by_output[sure[by_output].argsort(descending=True, stable=True)]
    return order[:n].to(outputs.device)


def of_the_larger_mean(values: Tensor, rng: torch.Generator) -> Tensor:
    """Every value's probability of the component with the larger mean in a mixture of two normal ones, [N] -> [N].

    The options of the mixture are those of the published code.
    """
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415 - a second that no other strategy need spend

    seed, points = int(torch.randint(2**31, (1,), generator=rng)), values.numpy()[:, None]
    with catch_warnings(action="ignore"):  # that ten steps were too few, or that all values are equal
        mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed).fit(points)
    return torch.from_numpy(mixture.predict_proba(points)[:, mixture.means_[:, 0].argmax()])


@dataclass(frozen=True)
class NotedFit(WrappedFit):
    """A fit that knows how its net was built and trained."""

    build: Callable[[], nn.Module]
    recipe: Recipe


@dataclass(frozen=True)
class Noting(Wrapped):
    """Fits as another learner does, and notes how the fit's first net was built and trained."""

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None) -> Fitted:
        asked: list[Fit] = []

        def note(fit: Fit) -> Fit:
            asked.append(fit)
            return fit

        fitted = await rewriting(self.base.fit(data, streams, inner(previous, NotedFit)), note)
        if not asked:
            raise UsageError(f"lfosa needs a learner that trains nets, and {type(self.base).__name__} trains none")
        return NotedFit(fitted, asked[0].build, asked[0].recipe)


@dataclass(frozen=True)
class DetectorBuilder:
    """Builds the net of `build` with so many outputs. In training they are divided by the temperature."""

    build: Callable[[], nn.Module]
    outputs: int
    temperature: float

    def __call__(self) -> nn.Module:
        net = self.build()
        old = last_dense(net)
        assert old is not None  # LfOSA.check
        parent, _, own = next(name for name, layer in net.named_modules() if layer is old).rpartition(".")
        setattr(net.get_submodule(parent), own, nn.Linear(old.in_features, self.outputs, old.bias is not None))
        return nn.Sequential(net, Sharpened(self.temperature))


class Sharpened(nn.Module):
    """Divides by the temperature in training, and by nothing in evaluation."""

    def __init__(self, temperature: float):
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        return x / self.temperature if self.training else x
