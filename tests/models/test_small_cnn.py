import pytest
import torch
from torch import nn

from al_runner.models.small_cnn import WindowMeans, small_cnn


@pytest.mark.parametrize("shape", [(4, 4), (7, 7), (8, 5), (3, 2), (16, 9), (1, 30)])
def test_window_means_are_those_of_adaptive_average_pooling(shape: tuple[int, int]) -> None:
    x = torch.randn(5, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = WindowMeans(*shape, 4).double()(x)
    torch.testing.assert_close(ours, nn.AdaptiveAvgPool2d(4)(x), rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (1, 16, 15), (3, 1, 1), (2, 17, 40)])
def test_it_takes_images_of_any_size(shape: tuple[int, int, int]) -> None:
    """The same net with torch's own pooling gives the same logits."""
    net = small_cnn(shape, 5).double()
    x = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    other = nn.Sequential(*(nn.AdaptiveAvgPool2d(4) if isinstance(part, WindowMeans) else part for part in net))
    torch.testing.assert_close(net(x), other(x), rtol=0, atol=1e-7)
