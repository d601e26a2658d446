"""Every kind of layer, in nets that branch and change tensors in place, against each example's own full gradient."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrizations import spectral_norm

from al_runner.errors import UsageError
from al_runner.fisher import (
    Factors,
    LayerSamples,
    capture,
    damped_inverse,
    mean_factors,
    parameter_count,
    product_traces,
    squared_traces,
    treatable_layers,
)

DOUBLE = {"dtype": torch.float64}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORMALISATIONS = (*BATCH_NORMS, nn.GroupNorm, nn.LayerNorm)


class Block(nn.Module):
    """A residual block as torchvision writes it: ReLU in place, the identity added in place."""

    def __init__(self, before: int, after: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=2, dilation=2, padding_mode="reflect")
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.shortcut is None else self.shortcut(x)
        return self.relu(out)  # type: ignore[no-any-return]


def residual_net() -> nn.Module:
    torch.manual_seed(0)
    return settled(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.ReLU(inplace=True),
            Block(4, 4, 1),
            Block(4, 6, 2, groups=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        )
    )


def sequence_net() -> nn.Module:
    torch.manual_seed(1)
    layers = [nn.Flatten(2), nn.Conv1d(2, 4, 5, 3, 2, groups=2), nn.GroupNorm(2, 4), nn.Tanh()]
    layers += [nn.LayerNorm([4, 12]), nn.Linear(12, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 2, bias=False)]
    return settled(nn.Sequential(*layers, nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3)))


def volume_net() -> nn.Module:
    torch.manual_seed(2)
    layers = [nn.Unflatten(1, (2, 1)), nn.Conv3d(2, 3, (1, 3, 2), (1, 2, 1), (0, 1, 0)), nn.ReLU(inplace=True)]
    return settled(nn.Sequential(*layers, nn.BatchNorm3d(3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 3)))


def settled(net: nn.Module) -> nn.Module:
    """The net in double precision and evaluation mode, with statistics, scales and shifts other than 0 and 1."""
    for module in net.modules():
        if isinstance(module, BATCH_NORMS):
            module.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        if isinstance(module, NORMALISATIONS):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return net.double().eval()


def images(n: int = 4) -> Tensor:
    return torch.randn(n, 2, 6, 6, generator=torch.Generator().manual_seed(3), **DOUBLE)


def full_gradients(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Every example's gradient with respect to every parameter, [n, *parameter], without code of this package."""
    parameters = {name: value.detach() for name, value in net.named_parameters()}

    def loss(values: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(functional_call(net, values, (image[None],)), label[None])

    found: dict[str, Tensor] = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    return found


def block_gradients(net: nn.Module, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The full gradients in this package's order: blocks by name, [n, o, i], or [n, o, 1] for a normalisation."""
    blocks: dict[str, Tensor] = {}
    for name, layer in net.named_modules():
        if not list(layer.parameters(recurse=False)):
            continue
        weight, bias = gradients[f"{name}.weight"], gradients.get(f"{name}.bias")
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            columns = [weight.movedim(2, -1).flatten(2), *([] if bias is None else [bias[..., None]])]
            rows = torch.cat(columns, 2)
            groups = getattr(layer, "groups", 1)
            parts = rows.chunk(groups, 1)
            blocks |= {name if groups == 1 else f"{name}[{group}]": part for group, part in enumerate(parts)}
        else:
            blocks[name] = torch.cat([weight.flatten(1), bias.flatten(1)], 1)[..., None]  # type: ignore[union-attr]
    return blocks


def product(samples: LayerSamples) -> Tensor:
    """The gradient with respect to the weights that a block's rows give, [n, o, i]."""
    return torch.einsum("nto,nti->noi", samples.gradients, samples.inputs)


NETS = {"residual": residual_net, "sequence": sequence_net, "volume": volume_net}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest) -> nn.Module:
    return NETS[request.param]()


def test_every_blocks_rows_make_up_each_examples_own_gradient(net: nn.Module) -> None:
    x, y = images(), torch.tensor([0, 1, 2, 0])
    expected = block_gradients(net, full_gradients(net, x, y))
    found = capture(net, x, y)
    assert list(found) == list(expected)
    for name, samples in found.items():
        torch.testing.assert_close(product(samples), expected[name], rtol=1e-10, atol=1e-13)


def test_a_frozen_net_gives_the_same_rows(net: nn.Module) -> None:
    x = images()
    free, frozen = capture(net, x), capture(net.requires_grad_(False), x)
    for name, samples in free.items():
        torch.testing.assert_close(frozen[name], samples, rtol=1e-12, atol=1e-14)


def test_a_normalisations_block_is_its_exact_fisher_matrix(net: nn.Module) -> None:
    """Scale and shift together, their covariance too: the mean outer product of full gradients."""
    x, y = images(), torch.tensor([0, 1, 2, 0])
    expected = block_gradients(net, full_gradients(net, x, y))
    factors = mean_factors(net, [(x[:3], y[:3]), (x[3:], y[3:])])
    norms = [name for name, layer in net.named_modules() if isinstance(layer, NORMALISATIONS)]
    assert norms
    for name in norms:
        exact = torch.einsum("noi,npi->op", expected[name], expected[name]) / len(x)
        torch.testing.assert_close(torch.kron(factors[name].psi, factors[name].tau), exact, rtol=1e-10, atol=1e-15)


class Ungrouped(nn.Module):
    """A grouped convolution as several convolutions side by side."""

    def __init__(self, grouped: nn.Conv2d) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        groups, shape = grouped.groups, (grouped.in_channels // grouped.groups, grouped.out_channels // grouped.groups)
        for group in range(groups):
            part = nn.Conv2d(*shape, grouped.kernel_size, grouped.stride, grouped.padding, grouped.dilation).double()  # type: ignore[arg-type]
            part.weight.data = grouped.weight.data.chunk(groups)[group]
            part.bias.data = grouped.bias.data.chunk(groups)[group]  # type: ignore[union-attr]
            self.parts.append(part)

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.parts, x.chunk(len(self.parts), 1), strict=True)
        return torch.cat([part(channels) for part, channels in parts], 1)


@pytest.mark.parametrize("groups", [2, 4])
def test_a_grouped_convolution_has_the_factors_and_traces_of_ungrouped_ones(groups: int) -> None:
    torch.manual_seed(4)
    first, grouped = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 8, 3, 2, 2, 2, groups)
    head = [nn.Tanh(), nn.Flatten(), nn.Linear(8 * 9, 3)]
    ours = nn.Sequential(first, grouped, *head).double().eval()
    apart = nn.Sequential(first, Ungrouped(grouped), *head).double().eval()
    x = images()
    torch.testing.assert_close(ours(x), apart(x))
    factors, reference = mean_factors(ours, [(x, None)]), mean_factors(apart, [(x, None)])
    assert list(factors) == ["0", *(f"1[{group}]" for group in range(groups)), "4"]
    assert list(reference) == ["0", *(f"1.parts.{group}" for group in range(groups)), "4"]
    for found, expected in zip(factors.values(), reference.values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    for traces in (product_traces, squared_traces):
        found, expected = traces(ours, [x], factors), traces(apart, [x], reference)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_traces_equal_those_of_full_matrices(net: nn.Module) -> None:
    x = images()
    factors = mean_factors(net, [(x, None)])
    inverses = {name: Factors(*(damped_inverse(matrix, 0.1) for matrix in pair)) for name, pair in factors.items()}
    ours = product_traces(net, [x[:3], x[3:]], inverses)
    for column, (name, samples) in enumerate(capture(net, x).items()):
        for n, (a, g) in enumerate(zip(*samples, strict=True)):
            psi, tau = a.T @ a, g.T @ g / len(g)
            assert ours.psi[n, column].item() == pytest.approx((psi @ inverses[name].psi).trace().item(), rel=1e-9)
            assert ours.tau[n, column].item() == pytest.approx((tau @ inverses[name].tau).trace().item(), rel=1e-9)


def test_n_counts_every_parameter_those_of_groups_too(net: nn.Module) -> None:
    assert parameter_count(mean_factors(net, [(images(), None)])) == sum(p.numel() for p in net.parameters())


def test_rows_in_parts_are_the_same_rows(net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    x = images()
    whole, factors = capture(net, x), mean_factors(net, [(x, None)])
    traces = squared_traces(net, [x], factors)
    monkeypatch.setattr("al_runner.fisher.rows.ROWS", 1)  # an example a part
    for name, samples in capture(net, x).items():
        torch.testing.assert_close(samples, whole[name], rtol=0, atol=0)
    torch.testing.assert_close(mean_factors(net, [(x, None)]), factors, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(squared_traces(net, [x], factors), traces, rtol=1e-12, atol=1e-15)


def resnet18() -> nn.Module:
    """Torchvision's net, with the stem for small images; beside a CPU-only torch its own import may fail."""
    from al_runner.system.torchvision import torchvision_datasets

    torchvision_datasets()
    from torchvision.models import resnet18 as build

    torch.manual_seed(5)
    net: nn.Module = build(num_classes=10)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()  # type: ignore[assignment]
    return settled(net)


def test_resnet18_has_62_parameters_in_41_blocks_that_make_up_its_gradients() -> None:
    net = resnet18()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(6), **DOUBLE)
    y = torch.tensor([3, 7])
    expected = block_gradients(net, full_gradients(net, x, y))
    found = capture(net, x, y)
    assert set(found) == set(expected)
    assert (len(found), len(list(net.parameters()))) == (41, 62)
    for name, samples in found.items():
        torch.testing.assert_close(product(samples), expected[name], rtol=1e-9, atol=1e-12)


class Scaled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Own(nn.Module):
    """Has a parameter that no layer has."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 3), nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.layer(x)  # type: ignore[no-any-return]


class Positions(nn.Module):
    """Folds positions into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.folded, self.last = nn.Linear(1, 2), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.folded(x.reshape(-1, 1)).reshape(len(x), -1))  # type: ignore[no-any-return]


class Overwritten(nn.Module):
    """Changes a layer's input after the layer has read it; autograd allows that if the weight is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(3, 3).requires_grad_(False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        out = self.second(hidden)
        hidden += 1
        return hidden + out


class Ignored(nn.Module):
    """A layer whose output reaches no logit."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.aside = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.head(x)  # type: ignore[no-any-return]


class Cut(nn.Module):
    """A backbone called without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.backbone(x)
        return self.head(x)  # type: ignore[no-any-return]


class Functional(nn.Module):
    """Reads a layer's weight without calling it, as attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.read = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.called(x) @ self.read.weight


class Repeated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice, self.once = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.once(self.twice(self.twice(x)))  # type: ignore[no-any-return]


def tied() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    return net


BEFORE_ANY_TRAINING = {
    "'1' is PReLU": lambda: nn.Sequential(nn.Linear(3, 3), nn.PReLU()),
    "'1' is Scaled": lambda: nn.Sequential(nn.Linear(3, 3), Scaled(3, 3)),
    "'' is Own": Own,
    "'0' shares a parameter": tied,
    "'1' needs a weight and at most a bias as parameters, but has bias": lambda: nn.Sequential(
        nn.Linear(3, 3), spectral_norm(nn.Linear(3, 3))
    ),
}
IN_THE_FORWARD_PASS = {
    "'folded' sees a batch of 6 for 2 examples": Positions,
    "'second' has its input changed in place": Overwritten,
    "'aside' has no effect on the logits": Ignored,
    "'backbone.0' has no effect on the logits": Cut,
    "'read' is not used in the forward pass": Functional,
    "'twice' is used twice": Repeated,
}


@pytest.mark.parametrize("message", [*BEFORE_ANY_TRAINING, *IN_THE_FORWARD_PASS])
def test_a_layer_without_a_block_is_named_or_left_out_when_asked(message: str) -> None:
    net = (BEFORE_ANY_TRAINING | IN_THE_FORWARD_PASS)[message]().eval()
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(7))
    with pytest.raises(UsageError, match=message) as error:
        capture(net, x)
    assert "strategy.skip_untreated=true leaves it out" in str(error.value)
    assert "\n" not in str(error.value)
    named = str(error.value).split("'")[1]
    treated = set(capture(net, x, skip_untreated=True))
    assert treated
    assert named not in treated
    factors = mean_factors(net, [(x, None)], skip_untreated=True)
    assert set(factors) == treated
    assert product_traces(net, [x], factors).psi.shape == (2, len(treated))


@pytest.mark.parametrize("message", BEFORE_ANY_TRAINING)
def test_what_needs_no_images_to_be_seen_is_refused_without_images(message: str) -> None:
    with pytest.raises(UsageError, match=message):
        treatable_layers(BEFORE_ANY_TRAINING[message]())


def test_the_layers_that_are_left_have_the_values_that_they_have_alone() -> None:
    """The net with and without its PReLU at slope 1 computes the same, so its linear layers have the same factors."""
    torch.manual_seed(8)
    layers = [nn.Linear(3, 4), nn.PReLU(init=1.0), nn.Linear(4, 3)]
    with_, without = (nn.Sequential(*part).double().eval() for part in (layers, layers[::2]))
    x = torch.randn(5, 3, **DOUBLE)
    found, expected = mean_factors(with_, [(x, None)], True), mean_factors(without, [(x, None)])
    assert list(found) == ["0", "2"]
    for ours, theirs in zip(found.values(), expected.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)


def test_a_net_with_no_layer_left_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer"):
        treatable_layers(nn.Sequential(nn.PReLU()), skip_untreated=True)
    net = Functional()
    net.called = nn.Identity()  # type: ignore[assignment]
    with pytest.raises(UsageError, match="no layer"):
        capture(net.eval(), torch.randn(2, 3), skip_untreated=True)


@pytest.mark.parametrize("change", [lambda norm: norm.train(), lambda norm: setattr(norm, "running_mean", None)])
def test_a_batchnorm_that_mixes_examples_is_refused_even_without_parameters(change) -> None:
    norm = nn.BatchNorm1d(3, affine=False)
    net = nn.Sequential(nn.Linear(3, 3), norm).eval()
    change(norm)
    with pytest.raises(UsageError, match="'1' normalises by the batch"):
        capture(net, torch.randn(2, 3), skip_untreated=True)


def test_a_batchnorm_without_statistics_is_refused_without_images() -> None:
    with pytest.raises(UsageError, match="'1' normalises by the batch"):
        treatable_layers(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)))


def test_factors_of_another_net_are_refused() -> None:
    factors = mean_factors(residual_net(), [(images(), None)])
    with pytest.raises(UsageError, match="no block '0'"):
        product_traces(sequence_net(), [images()], factors)


def test_a_net_without_logits_is_refused() -> None:
    with pytest.raises(UsageError, match="logits"):
        capture(nn.Sequential(nn.Conv2d(2, 3, 1)).eval(), images().float())
