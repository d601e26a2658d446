"""Nets of torchvision and timm, by their names. Their weights are downloaded when they are first used."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from torch import nn

from al_runner.errors import UsageError
from al_runner.models.photographs import Body, Headless, body_of
from al_runner.settings.kinds import Count, Means
from al_runner.system.text import one_line
from al_runner.system.torchvision import torchvision_datasets

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation of its colours in 0 .. 1
SIZE = 224

# Options that a choice of features= and a choice of model= have in common.
Name = Annotated[str, Means("name of the net in the collection")]
Size = Annotated[Count | None, Means("pixels a side that images are scaled to; null: those that the net was made for")]
Group = Literal["features", "model"]  # in which the user chose the net


def require_name(group: Group, collection: str, name: str) -> None:
    """Raises UsageError if the package of nets is not installed, or if no net is named."""
    if find_spec(collection) is None:
        raise UsageError(f"{group}={collection} needs a package: pip install {collection}")
    if not name:
        raise UsageError(f"{group}={collection} needs {group}.name=NET, such as {group}.name=resnet18")


def from_torchvision(group: Group, name: str, weights: str | None, size: int | None) -> Body:
    """A net of torchvision.models. Without `weights`, torch's global generator draws new ones.

    Raises UsageError if there is no such net, or if its weights can't be had.
    """
    models = imported("torchvision.models")
    chosen: list[Any] = []

    def build() -> nn.Module:
        if weights is not None:
            chosen.append(models.get_model_weights(name)[weights])
        return models.get_model(name, weights=chosen[0] if chosen else None)  # type: ignore[no-any-return]

    net = built(group, "torchvision", name, build)
    made_for = chosen[0].transforms() if chosen else None
    mean, std = (tuple(made_for.mean), tuple(made_for.std)) if made_for else IMAGENET
    size = size or (made_for.crop_size[0] if made_for else SIZE)
    return body_of(Headless(net), size, mean, std, f"{group}.name={name}")


def from_timm(group: Group, name: str, pretrained: bool, size: int | None) -> Body:
    """A net of timm, as timm itself takes off the last layer. If not `pretrained`, torch's generator draws weights.

    Raises UsageError as `from_torchvision`.
    """
    timm = imported("timm")
    sized = {"img_size": size} if size else {}  # transformers are made for one size, other nets for any

    def build() -> nn.Module:
        try:
            return timm.create_model(name, pretrained, num_classes=0, **sized)  # type: ignore[no-any-return]
        except TypeError:
            return timm.create_model(name, pretrained, num_classes=0)  # type: ignore[no-any-return]

    net = built(group, "timm", name, build)
    made_for = timm.data.resolve_model_data_config(net)
    size = size or made_for["input_size"][1]
    return body_of(net, size, tuple(made_for["mean"]), tuple(made_for["std"]), f"{group}.name={name}")


def imported(module: str) -> Any:
    """A collection's module that makes nets. Raises UsageError if it can't be imported."""
    torchvision_datasets()  # timm needs torchvision, which can be imported afterwards with any build of torch
    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            f"{module} can't be imported ({one_line(error)}); install it again, with what it needs: "
            f"pip install --force-reinstall {module.partition('.')[0]}"
        ) from error


def built(group: Group, collection: str, name: str, build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` makes. Raises UsageError if it can't be built."""
    try:
        return build()
    except (OSError, RuntimeError, KeyError, ValueError, ImportError) as error:  # urllib's and timm's are of these
        raise UsageError(
            f"{group}.name={name} can't be loaded ({one_line(error)}); give a name and weights that "
            f"{collection} has, and connect this machine once, so that they can be downloaded"
        ) from error
