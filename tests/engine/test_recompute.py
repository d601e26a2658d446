"""Large images train in less memory, and to the same weights."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
import toy
from fresh import printed
from made_fits import fit, same_weights
from standin import StandIn
from torch import Tensor, nn

from al_runner.engine import recompute
from al_runner.engine.one_by_one import train
from al_runner.engine.parts import initial_net
from al_runner.engine.recompute import cuts, frugal, in_sequence
from al_runner.models.inputs import net_builder
from al_runner.models.layers import FlipAndShift, SeededDropout
from al_runner.models.resnet import resnet
from al_runner.models.vgg import vgg
from al_runner.training import Fit

MODELS = {"resnet": partial(resnet, width=4, dropout=0.3), "vgg": partial(vgg, blocks=((4, 4), (8, 8)), dropout=True)}


def resnet_fit(model: str = "resnet") -> Fit:
    recipe = toy.recipe(augment=partial(FlipAndShift, 1), max_checks=3)
    return fit(recipe)._replace(build=net_builder(toy.data_set(), MODELS[model]))


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be kept, of minibatches of any size."""
    monkeypatch.setattr(recompute, "KEPT", {"cpu": 0})
    monkeypatch.setattr(recompute, "MEASURED", 0)


@pytest.mark.parametrize("model", MODELS)
def test_a_net_that_is_computed_again_trains_to_the_same_weights(model: str, request: pytest.FixtureRequest) -> None:
    plain = train(resnet_fit(model))
    request.getfixturevalue("tight")
    again = train(resnet_fit(model))
    assert same_weights(plain.net, again.net)  # BatchNorm's statistics are among them
    assert plain.steps == again.steps


STEP = """
import torch
from torch import nn
from al_runner.engine import recompute
from al_runner.models.resnet import resnet

torch.set_num_threads(1)
net = nn.Sequential(resnet((3, 96, 96), 2, width=8)).to(memory_format=torch.channels_last)
x = torch.rand(32, 3, 96, 96)

net(x[:2]).sum().backward()
recompute.return_large_blocks = lambda: None  # it would undo MALLOC_MMAP_THRESHOLD_ below
before, took = status("VmHWM"), []
for most in (0, 2**40):
    recompute.KEPT = {"cpu": most}
    recompute.frugal(net, x, len(x))(x).sum().backward()
    took.append(status("VmHWM") - before)
print(json.dumps({"took": took, "kept": sum(recompute.kept_bytes(recompute.in_sequence(net), x))}))
"""


def test_a_step_takes_much_less_memory() -> None:
    """Less by at least half of what a step keeps. The rest of its memory are gradients, which all steps need."""
    # Every freed tensor goes back to the system, so that the peak is what the step needs.
    result = printed(STEP, MALLOC_MMAP_THRESHOLD_="65536")
    cut, whole = result["took"]
    assert whole > 0.9 * result["kept"]
    assert whole - cut > 0.5 * result["kept"]


@pytest.mark.parametrize("side", [32, 64])
def test_only_a_large_step_is_cut(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy.data_set()
    net = net_builder(replace(data, images=data.images.repeat(1, 3, 1, 1)), MODELS["resnet"])()
    x = torch.zeros(64, 3, side, side, dtype=torch.uint8)
    assert frugal(net, x, 64) is net  # half a gigabyte is enough for both
    monkeypatch.setattr(recompute, "KEPT", {"cpu": 2**20})
    assert (frugal(net, x, 64) is net) is (side == 32)  # 64 small images are not measured
    assert frugal(net, x, 16) is net


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
def test_a_step_is_cut_if_it_does_not_fit_into_what_is_free_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn():
        net = net_builder(toy.data_set(), MODELS["resnet"])().to("cuda")
        x = torch.zeros(64, 1, 64, 64, dtype=torch.uint8, device="cuda")
        assert frugal(net, x, 64) is net
        monkeypatch.setattr(recompute, "free_bytes", lambda device: 2**20)
        assert frugal(net, x, 64) is not net


class Counter(nn.Module):
    """Multiplies by a buffer that every training pass changes."""

    times: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("times", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        out = x * self.times
        self.times = self.times + 1
        return out


@pytest.mark.usefixtures("tight")
def test_layers_that_change_their_buffers_and_draw_numbers_give_the_same_gradient() -> None:
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(3, 5), Counter(), nn.Dropout(0.5), nn.Sequential(SeededDropout(0.5), Counter()))
    before = copy.deepcopy(plain.state_dict())
    other = copy.deepcopy(plain)
    forward = frugal(other, x, 4)
    assert forward is not other
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())  # measured on a copy
    gradients = []
    for net, run in ((plain, plain), (other, forward)):
        torch.manual_seed(1)
        for _ in range(2):
            (run(x) ** 2).sum().backward()
        gradients.append([weight.grad for weight in net.parameters()])
        gradients[-1].append(torch.rand(1))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.equal(ours, theirs)
    assert same_weights(plain, other)
    assert float(other[1].times) == 3


def test_a_net_of_another_form_trains_as_it_is() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + self.layer(x)

    own = Own()
    assert in_sequence(own) == [own]
    net = nn.Sequential(nn.Flatten(), nn.Sequential(own, nn.ReLU()))
    assert in_sequence(net) == [net[0], own, net[1][1]]
    net[1].register_forward_hook(lambda *_: None)  # which a cut would not call
    assert in_sequence(net) == [net[0], net[1]]


@pytest.mark.parametrize(
    ("sizes", "most", "parts"),
    [
        ([1, 1, 1, 1], 2, [(0, 2), (2, 4)]),
        ([9, 1, 1, 9], 2, [(0, 1), (1, 3), (3, 4)]),
        ([0, 0, 5, 0], 5, [(0, 4)]),
        ([3], 1, [(0, 1)]),
    ],
)
def test_parts_are_as_long_as_they_may_be(sizes: list[int], most: int, parts: list[tuple[int, int]]) -> None:
    assert cuts(sizes, most) == parts


def test_the_net_in_training_is_the_one_that_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "MEASURED", 0)
    net, x = initial_net(resnet_fit()), resnet_fit().data.x
    assert frugal(net, x, len(x)) is net  # it is measured, and small
