"""A small net among those of torchvision, with weights in a file: what a download would give, without a network."""

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from al_runner.models.by_name import imported

NAME, SIZE = "small_net_of_the_tests", 12
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
reads: list[str] = []  # weights that were read


class SmallNet(nn.Module):
    """Six features before the last layer; it takes images of `SIZE` or larger, as a transformer takes one size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 1000))

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.shape[2] >= SIZE, f"the height is {x.shape[2]}")
        out: Tensor = self.classifier(self.norm(self.conv(x)).relu().mean((2, 3)))
        return out


def trained() -> dict[str, Tensor]:
    """The weights of the file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1234)
        net = SmallNet()
        net.norm(torch.randn(50, 6, 4, 4))  # statistics of its own
    return net.state_dict()


def register(folder: Path) -> None:
    """Let torchvision know the net, with its weights in a file of `folder`."""
    models, presets = imported("torchvision.models"), imported("torchvision.transforms._presets")
    torch.save(trained(), folder / "small.pth")
    transforms = partial(presets.ImageClassification, crop_size=SIZE, mean=MEAN, std=STD)
    weights = models.Weights(url=(folder / "small.pth").as_uri(), transforms=transforms, meta={})
    kinds: Any = Enum("SmallWeights", {"IMAGENET1K_V1": weights, "DEFAULT": weights}, type=models.WeightsEnum)

    def small_net(*, weights: Any = None, progress: bool = True) -> nn.Module:
        net = SmallNet()
        if weights is not None:
            reads.append(weights.name)
            net.load_state_dict(torch.load(folder / "small.pth", weights_only=True))
        return net

    small_net.__annotations__["weights"] = kinds | None
    models._api.BUILTIN_MODELS[NAME] = small_net
