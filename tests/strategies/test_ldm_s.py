"""LDM-S against a search over all draws of noise, and its seeding against the chances that the paper gives."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from al_runner.rng import stream
from al_runner.strategies.ldm_s import SCALES, least_disagree_metrics, seeded, seeding_weights


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("bias", [True, False])
def test_a_metric_is_the_least_share_over_all_draws_that_change_the_image(bias: bool) -> None:
    """Written anew, with numpy: every draw is kept, and the draws end when the last ten have lowered nothing."""
    torch.manual_seed(0)
    head, x, over = nn.Linear(5, 3, bias=bias), random(12, 5), random(40, 5, 1)[:, :, 0]
    with torch.no_grad():
        found = least_disagree_metrics(x, over, head, 10, stream(0, "query"))
    weights = [part.detach().numpy() for part in head.parameters()]
    rng, draws = stream(0, "query"), []

    def classes(points: torch.Tensor, parts: list[np.ndarray]) -> np.ndarray:
        return (points.numpy() @ parts[0].T + (parts[1] if bias else 0)).argmax(1)

    def metrics(some: list[tuple[np.ndarray, float]]) -> list[float]:
        return [min([1.0] + [share for changed, share in some if changed[place]]) for place in range(12)]

    for scale in SCALES:
        begun = len(draws)
        while len(draws) < begun + 10 or metrics(draws) != metrics(draws[:-10]):
            noisy = [part + scale * torch.randn(part.shape, generator=rng).numpy() for part in weights]
            share = (classes(over, noisy) != classes(over, weights)).mean()
            draws.append((classes(x, noisy) != classes(x, weights), float(share)))
    assert found.tolist() == pytest.approx(metrics(draws), abs=1e-12)
    assert len(set(found.tolist())) > 5


def test_a_metric_is_the_share_of_images_between_the_boundary_and_the_image() -> None:
    """Two classes on a line: a boundary that passes an image also passes all images on its way there."""
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.bias.zero_()
        over = torch.linspace(-1, 1, 201)[:, None]
        x = torch.tensor([0.1, -0.2, 0.4, -0.5, 0.7])[:, None]
        found = least_disagree_metrics(x, over, head, 300, stream(0, "query"))
    exact = torch.tensor([10, 20, 40, 50, 70]) / 201
    assert (found >= exact - 1 / 201).all()
    assert torch.allclose(found.float(), exact, atol=0.025)


def test_a_class_that_no_noise_changes_has_the_metric_one() -> None:
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([100.0, 0.0]))
        assert least_disagree_metrics(random(4, 1), random(9, 1), head, 3, stream(0, "query")).tolist() == [1] * 4


def test_the_nearest_count_fully_and_all_others_together_as_much() -> None:
    metrics = torch.tensor([0.3, 0.1, 0.9, 0.2, 0.7, 0.8, 0.5], dtype=torch.float64)
    weights = seeding_weights(metrics, 2)
    assert weights[[1, 3]].tolist() == [1, 1]
    raw = np.exp(-(np.array([0.3, 0.9, 0.7, 0.8, 0.5]) - 0.3) / 0.3)  # q is .3, the third smallest
    assert weights[[0, 2, 4, 5, 6]].tolist() == pytest.approx(np.minimum(1, raw * 2 / raw.sum()).tolist())


def test_metrics_of_zero_take_the_smallest_above_zero_as_the_unit() -> None:
    weights = seeding_weights(torch.tensor([0, 0, 0, 0.1, 0.2], dtype=torch.float64), 1)
    raw = np.exp([0, 0, 0, -1])
    assert weights.tolist() == pytest.approx([1, *np.minimum(1, raw / raw.sum())])
    assert seeding_weights(torch.zeros(4, dtype=torch.float64), 2).tolist() == [1] * 4
    assert seeding_weights(torch.tensor([0.2, 0.1], dtype=torch.float64), 2).tolist() == pytest.approx([1, 1])


def test_the_next_image_is_drawn_by_the_square_of_weight_times_distance() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
    metrics = torch.tensor([0.1, 0.2, 0.3, 0.6], dtype=torch.float64)
    distance = 1 - normalize(x) @ normalize(x)[0]
    chances = (seeding_weights(metrics, 2) * distance).square()
    chances /= chances.sum()
    draws = 4000
    seen = Counter(seeded(x, metrics, 2, stream(seed, "query"))[1].item() for seed in range(draws))
    assert all(seeded(x, metrics, 2, stream(seed, "query"))[0] == 0 for seed in range(10))
    for place, chance in enumerate(chances.tolist()):
        assert seen[place] / draws == pytest.approx(chance, abs=4 * (chance * (1 - chance) / draws) ** 0.5 + 1e-9)


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_equal_images_are_all_different_choices(value: float) -> None:
    """Also if all features are 0, as after a ReLU."""
    points, metrics = torch.full((6, 3), value), torch.full((6,), 0.5, dtype=torch.float64)
    assert sorted(seeded(points, metrics, 6, stream(0, "query")).tolist()) == [*range(6)]
