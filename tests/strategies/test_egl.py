"""Expected gradient length against an explicit gradient for each class and example."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.errors import UsageError
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies import egl
from al_runner.strategies.egl import Egl, expected_lengths


def brute_force(net: nn.Module, x: Tensor) -> Tensor:
    lengths = []
    for image in x:
        p = net(image[None]).softmax(1)[0].detach()
        length = torch.zeros((), dtype=torch.float64)
        for label in range(len(p)):
            loss = cross_entropy(net(image[None]), torch.tensor([label]))
            gradients = torch.autograd.grad(loss, list(net.parameters()))
            length += p[label] * torch.cat([gradient.flatten() for gradient in gradients]).norm()
        lengths.append(length)
    return torch.stack(lengths)


def normalised() -> nn.Module:
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 2, bias=False),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Conv2d(4, 4, 2, groups=2),
        nn.Flatten(),
        nn.Linear(16, 5),
    )
    net.double()(torch.rand(20, 1, 4, 4).double())  # running statistics of its own
    return net.eval()


@pytest.mark.parametrize("at_once", [1, 7, 1024])
def test_every_class_s_gradient_by_hand(
    net: nn.Module, pool: Pool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egl, "POSITIONS", at_once)
    x = pool.x(pool.candidates)
    for tried in (net, normalised()):
        assert torch.allclose(expected_lengths(tried, x), brute_force(tried, x), rtol=1e-10)


def test_both_ways_to_compute_a_norm_agree() -> None:
    torch.manual_seed(0)
    for positions, inputs, outputs in ((9, 2, 3), (2, 9, 8)):
        a, g = torch.rand(4, positions, inputs), torch.rand(4, 3 * positions, outputs)
        explicit = torch.einsum("ncto,nti->ncoi", g.view(4, 3, positions, outputs), a).square().sum((2, 3))
        assert torch.allclose(egl.squared_norms(egl.LayerSamples(a, g)), explicit)


def test_the_longest_are_chosen_as_absolute_ids(net: nn.Module, pool: Pool) -> None:
    order = brute_force(net, pool.x(pool.candidates)).argsort(descending=True)[:5]
    chosen = Egl().select(SingleNet(net, 0), pool, 5, stream(0, "query"))
    assert torch.equal(chosen, pool.candidates[order])


def test_a_net_with_an_untreated_layer_is_refused_before_any_training() -> None:
    odd = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.PReLU(), nn.Linear(4, 3)).eval()
    with pytest.raises(UsageError, match="skip_untreated=true"):
        Egl().check(odd, torch.rand(2, 1, 4, 4))
    Egl(skip_untreated=True).check(odd, torch.rand(2, 1, 4, 4))


def test_nan_predictions_are_refused(net: nn.Module, pool: Pool) -> None:
    nn.init.constant_(net[-1].bias, float("nan"))  # type: ignore[index]
    with pytest.raises(ArithmeticError, match="not finite"):
        Egl().select(SingleNet(net, 0), pool, 2, stream(0, "query"))
