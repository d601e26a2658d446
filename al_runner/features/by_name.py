"""Nets of torchvision and timm, by their names. Their weights are downloaded when they are first used."""

from dataclasses import dataclass
from typing import Annotated

from al_runner.features.nets import Frozen, OfNet, hash_of, require_images
from al_runner.models.by_name import Name, from_timm, from_torchvision, require_name
from al_runner.models.photographs import Body
from al_runner.rng import global_stream, stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.types import DataSet


@dataclass(frozen=True)
class ByName(OfNet):
    """The inputs of the last dense layer of a net from a collection; a subclass says by `body` which."""

    name: Name = ""

    @property
    def collection(self) -> str:
        """The package that the net comes from, which is also the choice of features=."""
        return type(self).__name__.lower()

    @property
    def label(self) -> str:
        """The collection and the net, as a part of a file's name."""
        return f"{self.collection}-{''.join(c if c.isalnum() else '_' for c in self.name)}"

    def require(self, data: DataSet | None = None) -> None:
        require_name("features", self.collection, self.name)
        require_images(data, self.collection)

    def body(self) -> Body:
        """The net; random weights are drawn from torch's global generator."""
        raise NotImplementedError

    def load(self) -> Frozen:
        self.require()
        with global_stream(stream(0, "features")):  # random weights are always the same
            body = self.body()
        return Frozen(body.net, body.transform, hash_of(body.net))


@options("features")
@dataclass(frozen=True)
class TorchVision(ByName):
    """The inputs of the last dense layer of a net of torchvision.models."""

    weights: Annotated[
        str | None, Means("name of the weights, as torchvision lists them; null: random ones, for comparison")
    ] = "DEFAULT"

    def body(self) -> Body:
        return from_torchvision("features", self.name, self.weights, self.size)


@options("features")
@dataclass(frozen=True)
class Timm(ByName):
    """The features of a net of the package timm, as timm itself takes off the last layer."""

    pretrained: Annotated[bool, Means("with trained weights; false: random ones, for comparison")] = True

    def body(self) -> Body:
        return from_timm("features", self.name, self.pretrained, self.size)
