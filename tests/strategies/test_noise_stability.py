"""NoiseStability against nets that are changed one by one, and the ways in which the published code goes wrong."""

from copy import deepcopy

import torch
from torch import nn

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.noise_stability import NoiseStability, moves, shaken, spread_out
from al_runner.types import DataSet


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(), nn.Linear(12, 4)).eval()


X = torch.randn(20, 1, 3, 3, generator=torch.Generator().manual_seed(0))


def test_noise_is_a_share_of_every_layer_s_weights_and_leaves_biases():
    model = net()
    before = deepcopy(model.state_dict())
    noise = shaken(model, 0.01, stream(0, "query"))
    assert set(noise) == {"0.weight", "1.weight", "4.weight"}
    for name, value in noise.items():
        change = value - before[name]
        assert torch.allclose(change.norm() / before[name].norm(), torch.tensor(0.01), rtol=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = shaken(model, 0.01, stream(0, "query"))
    assert all(torch.equal(noise[name], again[name]) for name in noise)
    assert not torch.equal(noise["4.weight"], shaken(model, 0.01, stream(1, "query"))["4.weight"])


def test_moves_are_those_of_nets_that_are_changed_one_by_one():
    model, rng = net(), stream(0, "query")
    noises = [shaken(model, 0.05, rng) for _ in range(3)]
    with torch.inference_mode():
        found = moves(model, X, noises)
        p = model(X).softmax(1)
        for number, noise in enumerate(noises):
            changed = deepcopy(model)
            changed.load_state_dict({**changed.state_dict(), **noise})
            expected = (changed(X).softmax(1) - p) / p.norm(dim=1, keepdim=True)
            assert torch.allclose(found[:, 4 * number : 4 * number + 4].float(), expected, atol=1e-6)
    assert found.shape == (20, 12)


def test_farthest_points_first_with_the_origin_as_a_centre():
    points = torch.randn(25, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centres, expected = [torch.zeros(5, dtype=torch.float64)], []
    for _ in range(8):
        nearest = [
            -1.0 if place in expected else min(float((point - centre).norm()) for centre in centres)
            for place, point in enumerate(points)
        ]
        expected.append(nearest.index(max(nearest)))
        centres.append(points[expected[-1]])
    assert spread_out(points, 8).tolist() == expected
    assert expected[0] == int(points.norm(dim=1).argmax())


def test_predictions_that_do_not_move_are_all_different_choices():
    """The published code sets a chosen point's distance to 0, and may choose it again if all others are 0 too."""
    assert sorted(spread_out(torch.zeros(9, 6, dtype=torch.float64), 9).tolist()) == [*range(9)]


class Fit:
    steps = 0

    def __init__(self, model):
        self.model = model

    def network(self):
        return self.model


def test_images_near_the_boundary_move_most():
    """One number an image, and logits w x and 0: p moves by p (1 - p) x dw, which is largest for a small w x."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[6.0], [0.0]]))
    x = torch.cat([torch.full((30,), 5.0), torch.tensor([0.3, -0.3, 0.25]), torch.full((10,), -5.0)])
    ids = torch.arange(len(x))
    pool = Pool(DataSet(x[:, None, None, None], ids % 2, ids, ids[:0], ids[:0], ("a", "b")))
    chosen = NoiseStability(draws_of_noise=5).select(Fit(model), pool, 3, stream(0, "query"))
    assert sorted(chosen.tolist()) == [30, 31, 32]
