"""Nets that are trained together, as one module, which an engine builds, trains and returns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.generative.nets import Bottleneck, Discriminator, Encoder, Generator, Sizes
from al_runner.models.inputs import NetBuilder
from al_runner.training import Joint, Recipe, Schedule

WHITE = 255  # the value of white in a stored image; in the generative nets it is 1


class Parts(nn.Module):
    """A classifier and the nets that are trained with it. Its own output is the classifier's."""

    def __init__(
        self, classifier: nn.Module, generator: Generator, discriminator: Discriminator, encoder: Encoder | None
    ):
        super().__init__()
        self.classifier = classifier
        self.generator = generator
        self.discriminator = discriminator
        if encoder is not None:
            self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Uint8 [N, C, H, W] -> logits [N, Y]."""
        logits: Tensor = self.classifier(x)
        return logits

    def classified(self, images: Tensor) -> Tensor:
        """Logits of images with values in [0, 1], [N, C, H, W] -> [N, Y]."""
        logits: Tensor = self.classifier(WHITE * images)
        return logits

    @torch.inference_mode()
    def twins(self, x: Tensor, y: Tensor) -> Tensor:
        """x' = g(mean of e(x), y), uint8 [N, C, H, W] and labels [N] -> [N, C, H, W] of values in (0, 1).

        The nets must be in evaluation mode. Raises AttributeError if there is no encoder.
        """
        mean, _ = self.encoder(x / WHITE)
        twins: Tensor = self.generator(mean, y)
        return twins


@dataclass(frozen=True)
class BuildParts:
    """Builds `Parts` with new weights. The classifier's are drawn first, so they are those it would have alone."""

    classifier: NetBuilder
    sizes: Sizes
    encoder: Bottleneck | None  # None: no encoder
    init: Callable[[nn.Module], object] | None  # the recipe's init, applied to the classifier only

    def __call__(self) -> Parts:
        classifier, shape = self.classifier(), self.classifier.image_shape
        if self.init is not None:
            self.init(classifier)
        generator = Generator(shape, self.classifier.classes, self.sizes)
        encoder = None if self.encoder is None else Encoder(shape, self.sizes, self.encoder)
        return Parts(classifier, generator, Discriminator(shape, self.sizes), encoder)


def require_pixels(dtype: torch.dtype, who: str) -> None:
    """Raises UsageError if the images are floats: generators make pixels, uint8."""
    if dtype != torch.uint8:
        raise UsageError(
            f"{who} makes images with pixels of 0 .. 255, and the data set holds floats; use another learner and "
            "strategy, or scale the images to 0 .. 255 and leave out dataset.values=float"
        )


def stored(images: Tensor) -> Tensor:
    """Images with values in [0, 1] as a data set holds them, uint8, of the same shape."""
    return (WHITE * images).round().to(torch.uint8)


@contextmanager
def lent(*nets: nn.Module) -> Iterator[None]:
    """A block in which the nets serve the loss of another net; the running statistics of BatchNorm do not change."""
    norms = [layer for net in nets for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    for layer in norms:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in norms:
            layer.track_running_stats = True


class Making(Joint, Protocol):
    """A joint training of `Parts`."""

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Random codes for the generator, [count, Z], on the CPU."""


@dataclass(frozen=True)
class Makers:
    """The optimiser of the nets around the classifier, and the schedule of its learning rate."""

    optimizer: Callable[..., torch.optim.Optimizer]
    schedule: Schedule | None

    def recipes(self, recipe: Recipe, names: Sequence[str]) -> Mapping[str, Recipe]:
        """The recipe of the classifier, and of each of the nets `names`, by name."""
        other = replace(recipe, optimizer=self.optimizer, schedule=self.schedule, norm_penalty=0.0)
        return {"classifier": recipe, **dict.fromkeys(names, other)}
