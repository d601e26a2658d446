"""The nets for small photographs, held to what defines them."""

import configs
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.models.airbench import Scaled, airbench
from al_runner.models.densenet import Dense, densenet
from al_runner.models.mirrored import Mirrored, mirrored
from al_runner.models.preact_resnet import PreActivated, preact_resnet
from al_runner.models.resnet import resnet
from al_runner.models.vgg import vgg
from al_runner.strategies.features import require_head

NETS = ["resnet18", "preact_resnet18", "densenet", "vgg16", "vgg16_dropout", "airbench"]


def sizes(net: nn.Module, x: Tensor, kind: type[nn.Module]) -> list[tuple[int, ...]]:
    """[C, H, W] of what every layer of a kind gives."""
    found: list[tuple[int, ...]] = []
    for layer in net.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda _, __, output: found.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net.eval()(x)
    return found


def test_a_preactivated_block_by_hand() -> None:
    """He et al. (2016b): what passes around the convolutions is not touched; they see BatchNorm and ReLU of it."""
    torch.manual_seed(0)
    block = PreActivated(4, 4, 1).double()
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    first, second = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    one, two = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert torch.allclose(block(x), x + second(two(first(one(x).relu())).relu()))
    wider = PreActivated(4, 8, 2).double()
    assert wider.shortcut is not None
    activated = wider.activate(x)
    assert torch.allclose(wider(x), wider.shortcut(activated) + wider.body(activated))


def test_the_stages_of_a_preactivated_resnet() -> None:
    net = preact_resnet((3, 32, 32), 10, width=4)
    assert sizes(net, torch.rand(1, 3, 32, 32), PreActivated) == [
        *[(4, 32, 32)] * 2,
        *[(8, 16, 16)] * 2,
        *[(16, 8, 8)] * 2,
        *[(32, 4, 4)] * 2,
    ]


def test_a_densenet_grows_by_every_layer_and_halves_between_blocks() -> None:
    net = densenet((3, 32, 32), 10, layers=(2, 3), growth=4)
    assert sizes(net, torch.rand(1, 3, 32, 32), Dense) == [
        *[(12, 32, 32), (16, 32, 32)],
        *[(12, 16, 16), (16, 16, 16), (20, 16, 16)],
    ]
    x = torch.rand(2, 8, 6, 6)
    assert torch.equal(Dense(8, 4)(x)[:, :8], x)


def test_the_depth_of_the_densenet_is_100() -> None:
    net = instantiate(configs.composed("model=densenet").model)((3, 32, 32), 10)
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in net.modules()) == 100


@pytest.mark.parametrize(("side", "pooled"), [(32, [16, 8, 4, 2, 1]), (28, [14, 7, 3, 1]), (16, [8, 4, 2, 1])])
def test_a_vgg_is_halved_as_often_as_its_images_allow(side: int, pooled: list[int]) -> None:
    net = vgg((3, side, side), 10, width=0.05)
    found = sizes(net, torch.rand(1, 3, side, side), nn.MaxPool2d)
    assert [height for _, height, _ in found] == pooled
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) == 13


def test_where_a_vgg_drops_out() -> None:
    """Liu & Deng (2015): after every convolution but a block's last, and around the dense layer."""
    net = vgg((3, 32, 32), 10, width=0.05, dropout=True, hidden=512)
    shares = [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)]
    assert shares == [0.3, *[0.4] * 7, 0.5, 0.5]
    assert not [layer for layer in vgg((3, 32, 32), 10, width=0.05).modules() if isinstance(layer, nn.Dropout)]


def test_the_airbench_net_passes_its_input_on_at_first_and_shifts_alone_in_its_norms() -> None:
    net = airbench((3, 32, 32), 10, widths=(32, 32), test_flips=False)
    convs = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert convs[0].weight.shape == (24, 3, 2, 2)
    x = torch.rand(2, 24, 31, 31)
    assert torch.allclose(convs[1](x)[:, :24], x)
    assert torch.allclose(convs[2](convs[1](x))[:, :24], x)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [(layer.weight.requires_grad, layer.bias.requires_grad) for layer in norms] == [(False, True)] * 4
    assert sizes(net, torch.rand(1, 3, 32, 32), nn.MaxPool2d) == [(32, 15, 15), (32, 7, 7)]
    logits, before = net(x := torch.rand(2, 3, 32, 32)), net[:-2](x)
    assert torch.allclose(logits, before @ net[-1].weight.T / 9, rtol=1e-5)


@pytest.mark.parametrize("name", configs.models())
def test_the_last_dense_layer_of_every_net_gives_its_logits(name: str) -> None:
    """ALFA-Mix, DropQuery and BAIT compute the logits, or their gradients, from this layer and its inputs."""
    size = (512, 1, 1) if name in ("linear_probe", "mlp") else (3, 32, 32)
    net = instantiate(configs.model(name))(size, 10).eval()
    x = torch.rand(2, *size)
    require_head("alfa_mix", net, x)
    with pytest.raises(UsageError, match="a net whose last dense layer gives the logits, and this net changes what"):
        require_head("alfa_mix", nn.Sequential(net, Scaled(0.5)), x)


@pytest.mark.parametrize("name", NETS)
def test_test_time_flips_predict_the_mean_of_an_image_and_its_mirror_image(name: str) -> None:
    smaller = {"densenet": ["model.layers=[1,1]"], "airbench": ["model.widths=[8,8]"]}
    overrides = smaller.get(name, ["model.width=0.05" if name.startswith("vgg") else "model.width=2"])
    build = instantiate(configs.composed(f"model={name}", "model.test_flips=true", *overrides).model)
    net = build((3, 32, 32), 10)
    assert isinstance(net, Mirrored)
    x = torch.rand(4, 3, 32, 32)
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    assert torch.equal(net.train()(x), net.net(x))
    net.eval()
    with torch.no_grad():
        assert torch.allclose(net(x), (net.net(x) + net.net(x.flip(3))) / 2)
        assert torch.allclose(net(x), net(x.flip(3)), atol=1e-6)
        assert not torch.allclose(net.net(x), net.net(x.flip(3)), atol=1e-6)


def test_features_with_test_time_flips_are_those_of_the_image_itself() -> None:
    net = resnet((3, 8, 8), 5, blocks=(1,), width=4).eval()
    x = torch.rand(3, 3, 8, 8)
    assert torch.equal(SingleNet(mirrored(net, True).eval(), 0).features(x), SingleNet(net, 0).features(x))
