"""Patch products from shifted images against the products of the patches themselves."""

import pytest
import torch
from torch import nn

from al_runner.fisher import mean_factors
from al_runner.fisher.capture import capture
from al_runner.fisher.correlations import correlates, patch_products
from al_runner.fisher.factors import gram

LAYERS = {
    "3 x 3": nn.Conv2d(8, 5, 3),
    "5 x 5, padded": nn.Conv2d(9, 5, 5, padding=2),
    "no bias": nn.Conv2d(8, 5, 3, padding=1, bias=False),
    "2 x 5": nn.Conv2d(8, 5, (2, 5), padding=(0, 3)),
    "5 x 1": nn.Conv2d(8, 5, (5, 1)),
    "4 x 4, uneven padding": nn.Conv2d(8, 5, 4, padding="same"),
    "reflected border": nn.Conv2d(8, 5, 3, padding=1, padding_mode="reflect"),
    "two groups": nn.Conv2d(16, 4, 3, padding=1, groups=2),
}


def net_of(layer: nn.Conv2d) -> nn.Sequential:
    torch.manual_seed(0)
    last = nn.Linear(4 * layer.out_channels, 3)
    return nn.Sequential(layer, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), last).double().eval()


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_mean_factors_are_those_of_the_patches(layer: nn.Conv2d) -> None:
    """Images of 11 x 12 pixels, in two batches; the reference forms every patch."""
    net = net_of(layer)
    x = torch.randn(5, layer.in_channels, 11, 12, dtype=torch.float64)
    assert correlates(layer, x, layer(x).shape)
    ours, samples = mean_factors(net, [(x[:3], None), (x[3:], None)]), capture(net, x)
    assert list(ours) == list(samples)
    for name, (inputs, gradients) in samples.items():
        rows, outputs = inputs.flatten(0, 1), gradients.flatten(0, 1)
        torch.testing.assert_close(ours[name].psi, rows.T @ rows / 5, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(ours[name].tau, outputs.T @ outputs / 5 / gradients.shape[1], rtol=1e-12, atol=1e-16)


def test_an_output_as_small_as_the_kernel() -> None:
    """Every window then has as many rows as there are windows, and no pixel is in all of them but one."""
    layer = nn.Conv2d(8, 2, 3).double()
    x = torch.randn(4, 8, 5, 5, dtype=torch.float64)
    rows = capture(net_of(layer), x)["0"].inputs.flatten(0, 1)
    torch.testing.assert_close(patch_products(layer, x), gram(rows), rtol=1e-12, atol=1e-12)


def test_single_precision_is_as_exact_as_the_patches() -> None:
    layer = nn.Conv2d(16, 2, 5, padding=2)
    x = torch.rand(64, 16, 12, 12)  # not centred, as after a ReLU
    with torch.no_grad():
        exact = patch_products(layer.double(), x.double())
        layer.float()
        rows = capture(nn.Sequential(layer, nn.Flatten()).eval(), x)["0"].inputs.flatten(0, 1)
        errors = [float((psi - exact).norm() / exact.norm()) for psi in (patch_products(layer, x), gram(rows).double())]
    assert errors[0] < 2 * errors[1] + 1e-7


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (nn.Conv2d(8, 2, 3, stride=2), 12),
        (nn.Conv2d(8, 2, 3, dilation=2), 12),
        (nn.Conv2d(8, 2, 3), 4),  # an output of 2 x 2
        (nn.Conv2d(8, 2, 1), 12),  # nothing to share
        (nn.Conv2d(3, 2, 5), 32),  # too few channels
        (nn.Conv2d(16, 8, 3, groups=8), 32),
    ],
    ids=["stride", "dilation", "small", "1 x 1", "colours", "groups"],
)
def test_what_is_left_to_the_patches(layer: nn.Conv2d, side: int) -> None:
    x = torch.zeros(1, layer.in_channels, side, side)
    assert not correlates(layer, x, layer(x).shape)


def test_another_device_is_left_to_the_patches() -> None:
    layer = nn.Conv2d(8, 2, 3)
    x = torch.zeros(1, 8, 12, 12)
    outputs = layer(x).shape
    assert correlates(layer, x, outputs) and not correlates(layer, x.to("meta"), outputs)
