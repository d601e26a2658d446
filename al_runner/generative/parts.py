"""Nets that are trained together, as one module: what an engine builds, trains and gives back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from al_runner.generative.nets import Bottleneck, Discriminator, Encoder, Generator, Sizes
from al_runner.models.inputs import NetBuilder
from al_runner.training import Joint, Recipe, Schedule

WHITE = 255  # of a stored image; the generative nets have values in [0, 1]


class Parts(nn.Module):
    """A classifier and the nets around it; as a net it is the classifier."""

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
        """The same of images of values in [0, 1]."""
        logits: Tensor = self.classifier(WHITE * images)
        return logits

    @torch.inference_mode()
    def twins(self, x: Tensor, y: Tensor) -> Tensor:
        """x' = g(e(x), y) with the code's mean for e(x), uint8 [N, C, H, W], [N] -> in (0, 1), in evaluation mode."""
        mean, _ = self.encoder(x / WHITE)
        twins: Tensor = self.generator(mean, y)
        return twins


@dataclass(frozen=True)
class BuildParts:
    """Builds `Parts` of fresh weights, the classifier's first, so that they are those it would have by itself."""

    classifier: NetBuilder
    sizes: Sizes
    encoder: Bottleneck | None  # None: no encoder
    init: Callable[[nn.Module], object] | None  # a recipe's, for the classifier

    def __call__(self) -> Parts:
        classifier, shape = self.classifier(), self.classifier.image_shape
        if self.init is not None:
            self.init(classifier)
        generator = Generator(shape, self.classifier.classes, self.sizes)
        encoder = None if self.encoder is None else Encoder(shape, self.sizes, self.encoder)
        return Parts(classifier, generator, Discriminator(shape, self.sizes), encoder)


def stored(images: Tensor) -> Tensor:
    """Images of values in [0, 1] as a data set has them, uint8."""
    return (WHITE * images).round().to(torch.uint8)


@contextmanager
def lent(*nets: nn.Module) -> Iterator[None]:
    """The nets as they are in training, but for a loss of another net: their BatchNorm takes note of nothing."""
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
        """Codes [count, Z] that the generator makes images from, on the CPU."""


@dataclass(frozen=True)
class Makers:
    """What moves the nets that make and judge images: an optimiser each, and how its rate changes."""

    optimizer: Callable[..., torch.optim.Optimizer]
    schedule: Schedule | None

    def recipes(self, recipe: Recipe, names: Sequence[str]) -> Mapping[str, Recipe]:
        """The classifier's own recipe, and one for each of the others."""
        other = replace(recipe, optimizer=self.optimizer, schedule=self.schedule, norm_penalty=0.0)
        return {"classifier": recipe, **dict.fromkeys(names, other)}
