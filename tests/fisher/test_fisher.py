"""Kronecker factors and traces against matrices built example by example."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, unfold

from al_runner.errors import UsageError
from al_runner.fisher import Factors, capture, damped_inverse, mean_factors, product_traces, squared_traces

DOUBLE = {"dtype": torch.float64}


def dense_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double().eval()


def conv_net() -> nn.Sequential:
    torch.manual_seed(1)
    return (
        nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1),
            nn.Tanh(),
            nn.Conv2d(3, 4, (2, 3), dilation=(1, 2), padding=(0, 2), bias=False),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(4 * 3 * 4, 3),
        )
        .double()
        .eval()
    )


def inputs(net: nn.Sequential, n: int = 6) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(n, 5, **DOUBLE) if isinstance(net[0], nn.Linear) else torch.randn(n, 2, 7, 7, **DOUBLE)


def by_hand(net: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, list[Factors]]:
    """Each example's factors from autograd and torch's own unfold, one example at a time.

    A convolution's patches come in unfold's order (channel, row, column), which is a permutation of ours.
    """
    found: dict[str, list[Factors]] = {}
    for image, label in zip(x, y, strict=True):
        value, outputs, rows = image[None], [], {}
        for name, layer in net.named_children():
            before = value
            value = layer(value)
            if isinstance(layer, nn.Linear):
                rows[name] = torch.cat([before, before.new_ones(1, 1)], 1)
            elif isinstance(layer, nn.Conv2d):
                patches = unfold(before, layer.kernel_size, layer.dilation, layer.padding, layer.stride)[0].T
                ones = patches.new_ones(len(patches), int(layer.bias is not None))
                rows[name] = torch.cat([patches, ones], 1)
            if name in rows:
                outputs.append(value)
        gradients = torch.autograd.grad(cross_entropy(value, label[None]), outputs)
        for name, gradient in zip(rows, gradients, strict=True):
            g = gradient.flatten(2)[0].T if gradient.ndim == 4 else gradient
            factors = Factors((rows[name].T @ rows[name]).detach(), g.T @ g / len(g))
            found.setdefault(name, []).append(factors)
    return found


def in_our_order(psi: Tensor, layer: nn.Module) -> Tensor:
    """Permute a convolution's psi from (channel, row, column) to (row, column, channel)."""
    if not isinstance(layer, nn.Conv2d):
        return psi
    size = layer.weight[0].numel()
    order = torch.arange(size).reshape(layer.weight[0].shape).permute(1, 2, 0).flatten()
    order = torch.cat([order, torch.arange(size, len(psi))])
    return psi[order][:, order]


@pytest.mark.parametrize("net", [dense_net(), conv_net()], ids=["dense", "conv"])
def test_mean_factors_equal_the_mean_of_single_examples(net: nn.Sequential) -> None:
    x = inputs(net)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    ours = mean_factors(net, [(x[:4], y[:4]), (x[4:], y[4:])])
    reference = by_hand(net, x, y)
    assert list(ours) == list(reference)
    for name, factors in reference.items():
        psi = torch.stack([f.psi for f in factors]).mean(0)
        torch.testing.assert_close(ours[name].psi, in_our_order(psi, net.get_submodule(name)), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(
            ours[name].tau, torch.stack([f.tau for f in factors]).mean(0), rtol=1e-12, atol=1e-14
        )


def test_one_example_of_a_dense_layer_is_the_exact_fisher_block() -> None:
    """For one example psi (x) tau equals the outer product of its weight gradient, entry by entry."""
    net, x, y = dense_net(), inputs(dense_net(), 1), torch.tensor([2])
    factors = mean_factors(net, [(x, y)])
    for name, layer in net.named_children():
        if not isinstance(layer, nn.Linear):
            continue
        weight, bias = torch.autograd.grad(cross_entropy(net(x), y), [layer.weight, layer.bias])
        gradient = torch.cat([weight, bias[:, None]], 1).T.flatten()  # psi's index is the slower one
        kron = torch.kron(factors[name].psi, factors[name].tau)
        torch.testing.assert_close(kron, torch.outer(gradient, gradient), rtol=1e-10, atol=1e-16)


def test_a_linear_softmax_model_has_the_exact_fisher_diagonal_in_expectation() -> None:
    """One layer with equal inputs for all examples: the mean block factorises, so the Kronecker form is exact."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(3, 4)).double().eval()
    x = torch.randn(1, 3, **DOUBLE).expand(4, 3)
    y = torch.arange(4)
    factors = mean_factors(net, [(x, y)])["0"]
    exact = torch.zeros(16, 16, **DOUBLE)
    for image, label in zip(x, y, strict=True):
        weight, bias = torch.autograd.grad(cross_entropy(net(image[None]), label[None]), list(net.parameters()))
        gradient = torch.cat([weight, bias[:, None]], 1).T.flatten()
        exact += torch.outer(gradient, gradient) / 4
    torch.testing.assert_close(torch.kron(factors.psi, factors.tau), exact, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("net", [dense_net(), conv_net()], ids=["dense", "conv"])
def test_traces_equal_those_of_single_matrices(net: nn.Sequential) -> None:
    x = inputs(net)
    prediction = net(x).argmax(1)
    reference = by_hand(net, x, prediction)
    torch.manual_seed(4)
    matrices, layers = {}, dict(net.named_children())
    for name, factors in reference.items():
        psi, tau = (torch.randn(len(m), len(m), **DOUBLE) for m in factors[0])
        matrices[name] = Factors(psi @ psi.T, tau @ tau.T)
    product, squared = (f(net, [x[:4], x[4:]], matrices) for f in (product_traces, squared_traces))
    for column, name in enumerate(reference):
        p, q = matrices[name]
        for n, (theirs, tau) in enumerate(reference[name]):
            psi = in_our_order(theirs, layers[name])
            assert product.psi[n, column].item() == pytest.approx((psi @ p).trace().item(), rel=1e-10)
            assert product.tau[n, column].item() == pytest.approx((tau @ q).trace().item(), rel=1e-10)
            assert squared.psi[n, column].item() == pytest.approx((psi @ p @ psi).trace().item(), rel=1e-10)
            assert squared.tau[n, column].item() == pytest.approx((tau @ q @ tau).trace().item(), rel=1e-10)


def test_the_pools_own_z1_is_the_parameter_count() -> None:
    """tr(psi psi^-1) tr(tau tau^-1) = d_in d_out if both factors are invertible and the damping is nearly 0."""
    net = nn.Sequential(nn.Linear(3, 3)).double().eval()
    torch.manual_seed(5)
    x = torch.randn(200, 3, **DOUBLE)
    factors = mean_factors(net, [(x, torch.randint(3, (200,)))])["0"]
    # The gradients of a softmax sum to zero, so tau has rank 2 of 3.
    for matrix, rank in ((factors.psi, 4), (factors.tau, 2)):
        assert (matrix @ damped_inverse(matrix, 1e-9)).trace().item() == pytest.approx(rank, abs=1e-5)


def test_damping_is_relative_to_the_block() -> None:
    matrix = torch.diag(torch.tensor([1.0, 2.0, 3.0], **DOUBLE))
    expected = torch.diag(1 / (torch.tensor([1.0, 2.0, 3.0], **DOUBLE) + 0.1 * 2))
    torch.testing.assert_close(damped_inverse(matrix, 0.1), expected)
    torch.testing.assert_close(damped_inverse(1e-9 * matrix, 0.1), 1e9 * expected)


def test_a_block_without_any_gradient_is_still_invertible() -> None:
    assert bool(damped_inverse(torch.zeros(3, 3, **DOUBLE), 0.1).isfinite().all())


def test_predictions_stand_for_missing_labels_and_the_net_is_left_alone() -> None:
    net, x = conv_net(), inputs(conv_net())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    own, given = capture(net, x), capture(net, x, net(x).argmax(1))
    for name in own:
        torch.testing.assert_close(own[name].gradients, given[name].gradients, rtol=0, atol=0)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(layer._forward_hooks for layer in net)


def test_a_frozen_net_gives_the_same_gradients() -> None:
    net, x = conv_net(), inputs(conv_net())
    free = capture(net, x)
    frozen = capture(net.requires_grad_(False), x)
    for name in free:
        torch.testing.assert_close(free[name].gradients, frozen[name].gradients, rtol=1e-12, atol=0)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))  # type: ignore[no-any-return]


class Unused(Twice):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Twice(), "'layer' is used twice"),
        (Unused(), "'layer' is not used in the forward pass"),
    ],
)
def test_a_layer_that_cannot_be_treated_is_named(net: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        capture(net.eval(), torch.randn(2, 3))


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        capture(dense_net().train(), inputs(dense_net()))


def test_no_images_is_refused() -> None:
    with pytest.raises(UsageError, match="empty set"):
        mean_factors(dense_net(), [])
