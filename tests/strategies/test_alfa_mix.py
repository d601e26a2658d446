"""ALFA-Mix against the paper's formula, element by element and with automatic gradients."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.alfa_mix import AlfaMix, anchors, changed, gradients, mixed
from al_runner.types import DataSet

RNG = torch.Generator().manual_seed(0)
Z = torch.randn(50, 6, generator=RNG, dtype=torch.float64)
CENTRES = torch.randn(3, 6, generator=RNG, dtype=torch.float64)


@pytest.fixture
def head():
    layer = nn.Linear(6, 4, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
        layer.bias.copy_(torch.linspace(-0.5, 0.5, 4))
    return layer


def test_anchors_are_the_means_of_the_classes_that_have_labels():
    y = torch.tensor([3, 1, 3, 1, 1])
    assert torch.allclose(anchors(Z[:5], y), torch.stack([Z[[1, 3, 4]].mean(0), Z[[0, 2]].mean(0)]))


def test_gradients_are_those_of_autograd(head):
    for row, found in zip(Z, gradients(Z, head), strict=True):
        z = row.clone().requires_grad_()
        logits = head(z)
        cross_entropy(logits, logits.argmax()).backward()
        assert torch.allclose(found, z.grad)


def test_mixtures_and_changes_are_those_of_the_formula(head):
    eps = 1.5 / 6**0.5
    expected = []
    gradient = gradients(Z, head)
    for place, z in enumerate(Z):
        flips = False
        for number, centre in enumerate(CENTRES):
            alpha = eps * (centre - z).norm() / gradient[place].norm() * gradient[place] / (centre - z)
            mixture = alpha * centre + (1 - alpha) * z
            assert torch.allclose(mixed(Z, centre, gradient, 1.5)[place], mixture), number
            flips |= bool(head(mixture).argmax() != head(z).argmax())
        expected.append(flips)
    assert changed(Z, CENTRES, head, 1.5).tolist() == expected
    assert 0 < sum(expected) < 50


def test_features_equal_to_an_anchor_s_are_no_division_by_zero(head):
    """Of ReLU features many are 0 in both; the quotient of the formula is then 0 / 0."""
    z, centre = Z.clamp_min(0), CENTRES[0].clamp_min(0)
    gradient = gradients(z, head)
    assert ((centre - z) == 0).any()
    assert mixed(z, centre, gradient, 0.2).isfinite().all()
    assert torch.equal(mixed(centre[None], centre, gradient[:1], 0.2), centre[None])
    assert torch.equal(mixed(z, centre, torch.zeros_like(z), 0.2), z)


class Fit:
    """Features are the two values of an image; its class is the larger one."""

    steps = 0

    def __init__(self) -> None:
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).eval()
        with torch.no_grad():
            self.net[1].weight.copy_(torch.eye(2))

    def features(self, x):
        return x.flatten(1)

    def network(self):
        return self.net


@pytest.mark.parametrize("n", [4, 25])
def test_images_near_the_boundary_are_bought_and_others_only_if_these_do_not_suffice(n):
    """Rows 0 .. 39 are far on either side, rows 40 .. 59 are close to the boundary, in four groups by length."""
    ids = torch.arange(62)
    near = torch.stack([torch.linspace(1, 2, 20), torch.linspace(1, 2, 20) * 1.01], 1)
    far = torch.tensor([[9.0, 0.0], [0.0, 9.0]])[torch.arange(40) % 2]
    x = torch.cat([far, near, torch.tensor([[3.0, 0.0], [0.0, 3.0]])])
    pool = Pool(DataSet(x[:, :, None, None], ids % 2, ids, ids[:0], ids[:0], ("a", "b")))
    pool.buy(ids[60:], ids[60:] % 2)
    chosen = AlfaMix().select(Fit(), pool, n, stream(0, "query"))
    assert len(set(chosen.tolist())) == n
    assert int((chosen >= 40).sum()) == min(n, 20)
