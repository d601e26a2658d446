"""Nets of torchvision and timm, by their names. Their weights are downloaded when they are first used."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

from torch import nn

from al_runner.data.vision import torchvision_datasets
from al_runner.errors import UsageError
from al_runner.features.nets import Frozen, OfNet, Transform, WithoutHead, hash_of, require_photographs
from al_runner.rng import global_stream, stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.system.text import one_line
from al_runner.types import DataSet

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation of its colours in 0 .. 1
SIZE = 224


@dataclass(frozen=True)
class ByName(OfNet):
    """The inputs of the last dense layer of a net from a collection."""

    name: Annotated[str, Means("name of the net in the collection")] = ""

    @property
    def collection(self) -> str:
        """The package that the net comes from, which is also the choice of features=."""
        return type(self).__name__.lower()

    @property
    def label(self) -> str:
        """The collection and the net, as a part of a file's name."""
        return f"{self.collection}-{''.join(c if c.isalnum() else '_' for c in self.name)}"

    def require(self, data: DataSet | None = None) -> None:
        if find_spec(self.collection) is None:
            raise UsageError(f"features={self.collection} needs a package: pip install {self.collection}")
        if not self.name:
            raise UsageError(f"features={self.collection} needs features.name=NET, such as features.name=resnet18")
        require_photographs(data, self.collection)

    def imported(self, module: str) -> Any:
        """The collection's module that makes nets. Raises UsageError if it can't be imported."""
        self.require()
        torchvision_datasets()  # timm needs torchvision, which can be imported afterwards with any build of torch
        try:
            return import_module(module)
        except (ImportError, RuntimeError) as error:
            raise UsageError(
                f"{module} can't be imported ({one_line(error)}); install it again, with what it needs: "
                f"pip install --force-reinstall {module.partition('.')[0]}"
            ) from error

    def built(self, build: Callable[[], nn.Module]) -> nn.Module:
        """The net, in evaluation mode; random weights are always the same. UsageError if it can't be built."""
        try:
            with global_stream(stream(0, "features")):
                return build().eval()
        except (OSError, RuntimeError, KeyError, ValueError, ImportError) as error:  # urllib's and timm's are of these
            raise UsageError(
                f"features.name={self.name} can't be loaded ({one_line(error)}); give a name and weights that "
                f"{self.collection} has, and connect this machine once, so that they can be downloaded"
            ) from error


@options("features")
@dataclass(frozen=True)
class TorchVision(ByName):
    """The inputs of the last dense layer of a net of torchvision.models."""

    weights: Annotated[
        str | None, Means("name of the weights, as torchvision lists them; null: random ones, for comparison")
    ] = "DEFAULT"

    def load(self) -> Frozen:
        models = self.imported("torchvision.models")
        chosen: list[Any] = []

        def build() -> nn.Module:
            if self.weights is not None:
                chosen.append(models.get_model_weights(self.name)[self.weights])
            return models.get_model(self.name, weights=chosen[0] if chosen else None)  # type: ignore[no-any-return]

        net = self.built(build)
        made_for = chosen[0].transforms() if chosen else None
        mean, std = (tuple(made_for.mean), tuple(made_for.std)) if made_for else IMAGENET
        size = self.size or (made_for.crop_size[0] if made_for else SIZE)
        return Frozen(WithoutHead(net).eval(), Transform(size, mean, std), hash_of(net))


@options("features")
@dataclass(frozen=True)
class Timm(ByName):
    """The features of a net of the package timm, as timm itself takes off the last layer."""

    pretrained: Annotated[bool, Means("with trained weights; false: random ones, for comparison")] = True

    def load(self) -> Frozen:
        timm = self.imported("timm")
        sized = {"img_size": self.size} if self.size else {}  # transformers are made for one size, other nets for any

        def build() -> nn.Module:
            try:
                return timm.create_model(self.name, self.pretrained, num_classes=0, **sized)  # type: ignore[no-any-return]
            except TypeError:
                return timm.create_model(self.name, self.pretrained, num_classes=0)  # type: ignore[no-any-return]

        net = self.built(build)
        made_for = timm.data.resolve_model_data_config(net)
        size = self.size or made_for["input_size"][1]
        return Frozen(net, Transform(size, tuple(made_for["mean"]), tuple(made_for["std"])), hash_of(net))
