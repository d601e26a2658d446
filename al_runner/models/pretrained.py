"""Nets whose every training begins with weights that were trained on other images, and with a new last layer.

N images of C x H x W values, Y classes.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import torch
from torch import Tensor, nn

from al_runner.models.by_name import Name, Size, from_timm, from_torchvision, require_name
from al_runner.models.efficientnet_lite0 import efficientnet_lite0, require_package, weights_file
from al_runner.models.photographs import Body, Inputs, require_photographs, require_unit
from al_runner.models.resnet import LastDropout, last
from al_runner.rng import global_stream, stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.system.chunks import in_parts, rows_in_parts
from al_runner.types import DataSet

AT_ONCE = {"cuda": 4096, "cpu": 256}  # images of 3 x 32 x 32 in one pass without gradients; fewer larger ones
READ = 8192  # images that are looked at together


class OfPhotographs(nn.Module):
    """The body of a net and what turns images into its inputs, float [N, C, H, W] in 0 .. 1 -> features [N, D].

    Images are scaled here, and not in the data set, which may then stay in memory. A pass without gradients takes few
    of the scaled images at once, with the same result. If a layer has a hook or is in training mode, all of them pass
    together: whoever looks at a layer, or draws a dropout mask for every image, wants that.
    """

    def __init__(self, body: Body):
        super().__init__()
        self.inputs, self.net = Inputs(body.transform), body.net
        self.values = 3 * (body.transform.size or 1) ** 2

    def forward(self, x: Tensor) -> Tensor:
        together = torch.is_grad_enabled() or any(
            layer.training or layer._forward_hooks or layer._forward_pre_hooks for layer in self.modules()
        )
        if together:
            return self.features(x)
        parts = rows_in_parts(x, AT_ONCE["cuda" if x.is_cuda else "cpu"], self.values)
        return torch.cat([self.features(part) for part in parts])

    def features(self, x: Tensor) -> Tensor:
        """The features of all images in one pass."""
        out: Tensor = self.net(self.inputs(x))
        return out


@dataclass(frozen=True)
class Pretrained:
    """A model whose nets have the weights of a trained net and a new last layer; a subclass says by `load` of which.

    The weights of the last layer come from torch's global generator. If there are no trained weights, all do.
    """

    size: Size = None
    dropout: LastDropout = 0.0

    def __post_init__(self) -> None:
        self.require()

    def require(self) -> None:
        """Raises UsageError if a package is missing, or if no net is named."""

    @property
    def label(self) -> str:
        """The choice of model= that has this class."""
        return type(self).__name__.lower()

    @property
    def trained(self) -> bool:
        """Whether there are trained weights."""
        raise NotImplementedError

    def load(self) -> Body:
        """The net without its last layer. Raises UsageError if its weights can't be had."""
        raise NotImplementedError

    def require_inputs(self, data: DataSet) -> None:
        """Raises UsageError if the images are no photographs, or are floats that are not in 0 .. 1."""
        who = f"model={self.label}"
        require_photographs(data.image_shape, who, "another model, such as model=linear_probe for vectors")
        if data.images.is_floating_point():
            for part in in_parts(data.images, READ):
                require_unit(part, who)

    def __call__(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """The net, from float [N, C, H, W] in 0 .. 1 to logits [N, classes], in training mode."""
        if self.trained:
            kept = trained_body(self)
            body = kept._replace(net=deepcopy(kept.net))
        else:
            body = self.load()
        return nn.Sequential(OfPhotographs(body), *last(body.length, classes, self.dropout)).train()


@lru_cache(maxsize=4)
def trained_body(model: Pretrained) -> Body:
    """The trained net of a model, read once a process, whose weights are only copied."""
    with torch.inference_mode(False), global_stream(stream(0, "trained")):  # building it first draws random weights
        return model.load()


FromTrained = Annotated[bool, Means("with trained weights; false: new ones of the run's seed, for comparison")]


@dataclass(frozen=True)
class ByName(Pretrained):
    """A net from a collection whose package has the name of the choice of model=."""

    name: Name = ""

    def require(self) -> None:
        require_name("model", self.label, self.name)


@options("model")
@dataclass(frozen=True)
class TorchVision(ByName):
    """A net of torchvision.models, trained further from its own weights, with a new last layer."""

    weights: Annotated[
        str | None,
        Means("name of the weights, as torchvision lists them; null: new ones of the run's seed, for comparison"),
    ] = "DEFAULT"

    @property
    def trained(self) -> bool:
        return self.weights is not None

    def load(self) -> Body:
        return from_torchvision("model", self.name, self.weights, self.size)


@options("model")
@dataclass(frozen=True)
class Timm(ByName):
    """A net of the package timm, trained further from its own weights, with a new last layer."""

    pretrained: FromTrained = True

    @property
    def trained(self) -> bool:
        return self.pretrained

    def load(self) -> Body:
        return from_timm("model", self.name, self.pretrained, self.size)


@options("model")
@dataclass(frozen=True)
class EfficientNetLite0(Pretrained):
    """EfficientNet-Lite0, trained further from weights of ImageNet, with a new last layer."""

    pretrained: FromTrained = True

    def require(self) -> None:
        if self.pretrained:
            require_package("model")

    @property
    def label(self) -> str:
        return "efficientnet_lite0"

    @property
    def trained(self) -> bool:
        return self.pretrained

    def load(self) -> Body:
        return efficientnet_lite0(self.size, weights_file() if self.pretrained else None)
