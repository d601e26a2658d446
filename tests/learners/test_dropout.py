"""The dropout posterior against the net itself with every mask set by hand."""

import pytest
import torch
import toy
from torch import Tensor, nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train
from al_runner.errors import UsageError
from al_runner.learners.dropout import Dropout, DropoutNet
from al_runner.models.inputs import net_builder
from al_runner.models.layers import seed_layers
from al_runner.models.masked_dropout import dropout_layers
from al_runner.rng import Streams, stream
from al_runner.system.chunks import chunks
from al_runner.training import Fit


class Block(nn.Module):
    """Not nn.Sequential, with dropout inside."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.norm(x))


def net(double: bool = True) -> nn.Module:
    """A net with everything: nested, BatchNorm before and after the first dropout, whole channels, a block."""
    torch.manual_seed(0)
    convolutions = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    net = nn.Sequential(
        nn.Sequential(convolutions, nn.Dropout2d(0.25)), nn.Flatten(), nn.Linear(64, 8), Block(), nn.Linear(8, 3)
    )
    net(torch.rand(64, 1, 6, 6))  # statistics of its own
    seed_layers(net, stream(0, "dropout"))
    return net.double() if double else net


def posterior(net: nn.Module, samples: int = 5, shared: bool = False) -> DropoutNet:
    return DropoutNet.of(net, 7, samples, shared, stream(3, "posterior masks"))


X = torch.rand(40, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def naive(net: nn.Module, fitted: DropoutNet, x: Tensor, t: int, shared: bool) -> Tensor:
    """One sample of the whole net; only its dropout layers are in training mode."""
    net.eval()
    for layer, first in zip(dropout_layers(net), fitted.first, strict=True):
        layer.train()
        layer.shared = shared
        layer.stream.fill_(first + t)
    with torch.no_grad():
        return net(x).log_softmax(-1)


@pytest.mark.parametrize(("double", "rounding"), [(True, 1e-14), (False, 1e-6)])
@pytest.mark.parametrize("shared", [False, True])
def test_samples_are_passes_of_the_whole_net_with_their_masks(shared: bool, double: bool, rounding: float) -> None:
    x = X if double else X.float()
    fitted = posterior(net(double), shared=shared)
    apart = torch.stack([naive(net(double), fitted, x, t, shared) for t in range(5)], 1)
    assert torch.allclose(fitted.log_probs(x), apart, rtol=0, atol=rounding)
    assert float(apart.std(1).min()) > 0


@pytest.mark.parametrize("bias", [True, False])
def test_a_mask_on_the_weights_is_the_mask_on_the_images(bias: bool) -> None:
    """Also after a flattening, with the positions of a sequence, and if everything or nothing is dropped."""
    dense = nn.Linear(18, 3, bias)
    for p, flat in [(0.5, True), (0.5, False), (1.0, True), (0.0, True)]:
        layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Dropout(p), nn.Flatten(), dense)
        if not flat:
            layers = nn.Sequential(nn.Identity(), nn.Dropout(p), dense)
        seed_layers(layers, stream(0, "dropout"))
        fitted = posterior(layers.double(), shared=True)
        x = torch.rand(4, 1, 3, 3, dtype=torch.float64) if flat else torch.rand(4, 5, 18, dtype=torch.float64)
        apart = torch.stack([naive(layers, fitted, x, t, True) for t in range(5)], 1)
        assert torch.allclose(fitted.log_probs(x), apart, rtol=0, atol=1e-14)


def test_the_masks_are_dropout_s_own() -> None:
    """With a linear net of unit weights the outputs are the masks: 1 / (1 - p) with probability 1 - p."""
    linear = nn.Linear(1, 2, bias=False)
    linear.weight.data.copy_(torch.tensor([[1.0], [0.0]]))
    layers = nn.Sequential(nn.Dropout(0.25), linear)
    seed_layers(layers, stream(0, "dropout"))
    log_probs = posterior(layers, samples=400).log_probs(torch.ones(100, 1))
    masks = (log_probs[:, :, 0] - log_probs[:, :, 1]).double()
    kept = masks > 0.5
    assert torch.allclose(masks[kept], torch.tensor(4 / 3).double(), atol=1e-6)
    assert torch.allclose(masks[~kept], torch.tensor(0.0).double(), atol=1e-6)
    # 40,000 draws: 4.5 standard deviations are 0.01; those of an image or a sample 0.1 and 0.2.
    assert abs(float(kept.double().mean()) - 0.75) < 0.01
    assert float((kept.double().mean(0) - 0.75).abs().max()) < 0.2
    assert float((kept.double().mean(1) - 0.75).abs().max()) < 0.1


def test_every_image_has_its_own_masks_unless_they_are_shared() -> None:
    same = X[:1].expand(700, 1, 6, 6)
    own = posterior(net()).log_probs(same)
    assert len(own[:, 0].unique(dim=0)) > 300
    one_pass = len(chunks(same)[0])
    again = (own[one_pass:] == own[: 700 - one_pass]).all(2).all(1)  # the masks of the image at this place of a pass
    assert one_pass < 700
    assert float(again.double().mean()) < 0.1
    shared = posterior(net(), shared=True).log_probs(same)
    assert torch.allclose(shared, shared[:1].expand_as(shared), rtol=0, atol=1e-14)
    assert len(shared[0].unique(dim=0)) == 5


def test_shared_masks_depend_only_on_the_sample() -> None:
    fitted = posterior(net(), shared=True)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(fitted.log_probs(X[order]), fitted.log_probs(X)[order], rtol=0, atol=1e-14)
    assert torch.allclose(fitted.log_probs(X[7:9]), fitted.log_probs(X)[7:9], rtol=0, atol=1e-14)


@pytest.mark.parametrize("shared", [False, True])
def test_the_net_stays_as_it_is_and_the_draws_are_the_same_again(shared: bool) -> None:
    trained = net()
    fitted = posterior(trained, shared=shared)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    streams = [layer.stream.clone() for layer in dropout_layers(trained)]
    state = torch.random.get_rng_state()
    first = fitted.log_probs(X)
    assert torch.equal(fitted.log_probs(X), first)
    assert torch.equal(posterior(net(), shared=shared).log_probs(X), first)
    assert not torch.equal(DropoutNet.of(net(), 0, 5, shared, stream(4, "posterior masks")).log_probs(X), first)
    assert fitted.network() is trained
    assert not any(module.training for module in trained.modules())
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert all(torch.equal(a.stream, b) for a, b in zip(dropout_layers(trained), streams, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        assert torch.allclose(fitted.features(X), trained[:-1](X))  # type: ignore[index]


def test_the_part_before_the_first_dropout_layer_is_computed_once() -> None:
    calls: list[str] = []
    trained = net()
    for name, layer in trained.named_modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            layer.register_forward_hook(lambda *_, name=name: calls.append(name))
    posterior(trained).log_probs(X)
    assert {name: calls.count(name) for name in set(calls)} == {"0.0.0": 1, "0.0.1": 1, "2": 5, "4": 5}


def test_the_net_is_the_one_that_plain_trains() -> None:
    build = net_builder(toy.data_set(), toy.model)
    learner = Dropout(build, toy.recipe(), samples=4)
    fitted = drive(learner.fit(toy.train_data(), Streams(0, 1)))  # type: ignore[arg-type]
    alone = train(Fit(build, toy.recipe(), toy.train_data(), Streams(0, 1)))
    for one, other in zip(fitted.net.parameters(), alone.net.parameters(), strict=True):
        assert torch.equal(one, other)
    assert fitted.steps == alone.steps
    assert fitted.log_probs(toy.train_data().x).shape == (12, learner.gives.samples, 3)


def without_dropout(shape: tuple[int, int, int], classes: int, p: float | None) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Identity() if p is None else nn.Dropout(p), nn.Linear(36, classes))


@pytest.mark.parametrize("p", [None, 0.0])
def test_a_net_without_dropout_is_refused_before_any_training(p: float | None) -> None:
    from functools import partial

    state = torch.random.get_rng_state()
    with pytest.raises(UsageError, match="use model=gal2017_cnn or learner=ensemble"):
        Dropout(net_builder(toy.data_set(), partial(without_dropout, p=p)), toy.recipe())
    assert torch.equal(torch.random.get_rng_state(), state)
    with pytest.raises(UsageError, match=r"learner\.samples is 0"):
        Dropout(net_builder(toy.data_set(), toy.model), toy.recipe(), samples=0)
