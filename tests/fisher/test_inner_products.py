import torch

from al_runner.fisher import LayerSamples
from al_runner.fisher.inner_products import at_one_position


def test_one_position_has_the_sum_of_the_outer_products_of_all_positions() -> None:
    n, losses, positions, inputs, outputs = 2, 3, 4, 5, 6
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(n, positions, inputs, generator=rng, dtype=torch.float64)
    g = torch.randn(n, losses, positions, outputs, generator=rng, dtype=torch.float64)
    one = at_one_position(LayerSamples(x, g.flatten(1, 2)))
    assert torch.equal(one.inputs, x.new_ones(n, 1, 1))
    torch.testing.assert_close(one.gradients, torch.einsum("nti,nlto->nloi", x, g).flatten(2))


def test_a_single_position_stays_as_it_is() -> None:
    part = LayerSamples(torch.zeros(2, 1, 5), torch.zeros(2, 3, 6))
    assert at_one_position(part) is part
