import subprocess
import sys

import pytest
import torch
from torch import nn

from al_runner.models.resnet import Thinned

LARGE = """
import torch
from al_runner.models.{room} import {net}
torch.set_num_threads(1)
net = {net}((3, 224, 224), 4, {options}).to(memory_format=torch.channels_last)
x = torch.rand(2, 3, 224, 224).to(memory_format=torch.channels_last)
net(x).sum().backward()
"""


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 2)])
def test_thinned_pixels_and_a_convolution_are_a_convolution_with_a_stride(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    strided = nn.Conv2d(3, 5, 1, 2, bias=False).double()
    plain = nn.Conv2d(3, 5, 1, bias=False).double()
    plain.load_state_dict(strided.state_dict())
    torch.testing.assert_close(plain(Thinned(2)(x)), strided(x))


@pytest.mark.parametrize(
    ("room", "net", "options"),
    [("resnet", "resnet", "width=8, blocks=[1, 1]"), ("preact_resnet", "preact_resnet", "width=8, blocks=[1, 1]")],
)
def test_a_narrow_net_trains_on_large_images(room: str, net: str, options: str) -> None:
    """With a stride in the 1 x 1 convolution, torch 2.13 ended the process here without a message."""
    code = LARGE.format(room=room, net=net, options=options)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
