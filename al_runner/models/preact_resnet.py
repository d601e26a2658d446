"""Residual nets whose blocks start with BatchNorm and ReLU (He et al., 2016b, "Identity mappings", figure 1b)."""

from torch import Tensor, nn

from al_runner.models.mirrored import TestFlips, mirrored
from al_runner.models.resnet import Blocks, GlobalAverage, LastDropout, Thinned, Width, last, unbiased
from al_runner.settings.declare import options


class PreActivated(nn.Module):
    """BatchNorm, ReLU and a 3 x 3 convolution, twice; the input is added to the result.

    If the shape changes, a 1 x 1 convolution of the activated input is added instead.
    """

    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU())
        self.body = nn.Sequential(
            unbiased(before, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU(), unbiased(width, width, 3, 1)
        )
        same = before == width and stride == 1
        self.shortcut = None if same else nn.Sequential(Thinned(stride), unbiased(before, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activate(x)
        out: Tensor = self.body(activated) + (x if self.shortcut is None else self.shortcut(activated))
        return out


@options("model")
def preact_resnet(
    image_shape: tuple[int, int, int],
    classes: int,
    blocks: Blocks = (2, 2, 2, 2),
    width: Width = 64,
    test_flips: TestFlips = False,
    dropout: LastDropout = 0.0,
) -> nn.Module:
    """A 3 x 3 convolution, a stage for every entry of `blocks`, BatchNorm, ReLU, and a dense layer.

    Every stage has twice the filters of the one before, and half its height and width.
    """
    layers: list[nn.Module] = [unbiased(image_shape[0], width, 3, 1)]
    before = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            layers.append(PreActivated(before, width << stage, 2 if stage > 0 and block == 0 else 1))
            before = width << stage
    layers += [nn.BatchNorm2d(before), nn.ReLU(), GlobalAverage(), *last(before, classes, dropout)]
    return mirrored(nn.Sequential(*layers), test_flips)
