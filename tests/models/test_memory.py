"""Fewer large images are read at once. Small ones are read as before, so their results do not change by one bit."""

import pytest
import torch
import toy
from fresh import printed
from torch import Tensor, nn

from al_runner.engine.one_by_one import error_rate
from al_runner.learners.plain import SingleNet
from al_runner.models.inputs import channel_statistics
from al_runner.system.chunks import at_once, chunks
from al_runner.types import DataSet

SIZES = {  # an image's shape, images at a time out of 8,192 and of 512
    (1, 8, 8): (8192, 512),  # digits
    (1, 16, 16): (8192, 512),  # USPS
    (1, 28, 28): (8192, 512),  # MNIST
    (3, 32, 32): (8192, 512),  # CIFAR, SVHN
    (3, 64, 64): (2048, 128),
    (3, 224, 224): (167, 10),
    (1, 2000, 3000): (4, 1),
}


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_large_images_at_once_have_no_more_values_than_small_ones(shape: tuple[int, ...]) -> None:
    many, few = SIZES[shape]
    values = torch.tensor(shape).prod().item()
    assert (at_once(8192, values), at_once(512, values)) == (many, few)
    parts = chunks(torch.zeros(1, *shape, dtype=torch.uint8).expand(600, *shape))
    assert len(parts[0]) == few
    assert sum(map(len, parts)) == 600


class Counting(nn.Module):
    """Predicts class 1 if the first value is above 100, and records how many images it gets at once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        sure = (x[:, 0, 0, 0] > 100).float()
        return torch.stack([1 - sure, sure], 1)


def test_predictions_and_errors_of_large_images_are_those_of_each() -> None:
    x = torch.randint(256, (25, 3, 224, 224), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    net = Counting()
    probs = SingleNet(net, 0).log_probs(x)[:, 0]
    assert net.seen == [10, 10, 5]
    assert probs.argmax(1).tolist() == (x[:, 0, 0, 0] > 100).long().tolist()
    labels = (x[:, 0, 0, 0] > 100).long()
    labels[3] = 1 - labels[3]
    assert error_rate(net, x, labels) == pytest.approx(1 / 25)


def test_statistics_in_parts_are_those_of_all() -> None:
    images = torch.randint(256, (400, 3, 70, 60), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    ids = torch.arange(400)
    data = DataSet(images, ids % 2, ids[10:], ids[:5], ids[5:10], ("a", "b"))
    mean, std = channel_statistics(data, chunk=100)
    expected = images[10:].double()
    assert torch.allclose(mean.double(), expected.mean((0, 2, 3)), rtol=1e-6)
    assert torch.allclose(std.double(), expected.std((0, 2, 3), unbiased=False), rtol=1e-6)


def test_statistics_of_small_images_have_not_changed() -> None:
    data = toy.data_set(160)
    values = data.images[data.train].double()  # 8,192 at a time: all of them
    mean, square = values.mean((0, 2, 3)), values.square().mean((0, 2, 3))
    found = channel_statistics(data)
    count = len(data.train)
    mean, square = mean * count / count, square * count / count
    assert torch.equal(found[0], mean.float())
    assert torch.equal(found[1], (square - mean.square()).sqrt().float())


PEAK = """
import torch
from al_runner.models.inputs import channel_statistics
from al_runner.types import DataSet

torch.set_num_threads(1)
images = torch.zeros(1200, 224, 224, 3, dtype=torch.uint8).random_(256).permute(0, 3, 1, 2)
ids = torch.arange(1200)
data = DataSet(images, ids % 2, ids, ids[:1], ids[:1], ("a", "b"))

before = status("VmHWM")
channel_statistics(data)
print(json.dumps({"data": images.nbytes, "more": status("VmHWM") - before}))
"""


def test_statistics_of_photos_need_little_more_memory() -> None:
    """1,200 images of 224 x 224 are 181 MB. In float64 they would be 1.4 GB, and their squares as much again."""
    took = printed(PEAK)
    assert took["data"] == 1200 * 224 * 224 * 3
    assert 0 < took["more"] < 0.6e9
