"""The generative nets' shapes, sizes and ranges."""

import pytest
import torch
from torch import nn

from al_runner.errors import UsageError
from al_runner.generative.nets import Discriminator, Encoder, Generator, Sizes

SHAPES = [(1, 28, 28), (1, 16, 16), (3, 32, 32), (2, 6, 7), (3, 30, 33)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_any_size_and_channels(shape: tuple[int, int, int]) -> None:
    sizes = Sizes(latent=5, maps=2, units=4)
    images = Generator(shape, 3, sizes)(torch.randn(4, 5), torch.tensor([0, 1, 2, 1]))
    assert images.shape == (4, *shape)
    assert float(images.detach().min()) > 0 and float(images.detach().max()) < 1
    assert Discriminator(shape, sizes)(images).shape == (4,)
    mean, log_variance = Encoder(shape, sizes)(images)
    assert mean.shape == log_variance.shape == (4, 5)


def numbers(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def test_the_nets_for_mnist_have_the_demo_s_sizes() -> None:
    """Weights and biases by layer; 2 numbers a unit of BatchNorm, and no bias before it."""
    sizes, shape = Sizes(), (1, 28, 28)
    flat = 128 * 7 * 7
    norms = 2 * (1024 + flat + 64)
    assert numbers(Generator(shape, 10, sizes)) == 110 * 1024 + 1024 * flat + 128 * 64 * 16 + 64 * 16 + 1 + norms
    discriminator = 64 * 16 + 64 + 64 * 128 * 16 + 2 * 128 + flat * 1024 + 2 * 1024 + 1024 + 1
    assert numbers(Discriminator(shape, sizes)) == discriminator
    convolutions = 64 * 16 + 2 * 64 + 64 * 128 * 16 + 2 * 128
    ends = 2 * (1024 * 100 + 100)
    assert numbers(Encoder(shape, sizes)) == convolutions + 1152 * 1024 + 1024 + ends
    assert numbers(Encoder(shape, sizes, "demo")) == convolutions + 128 * 16 + 1 + 1 * 1024 + 1024 + ends


def test_the_demo_s_encoder_has_one_number_and_bounded_codes() -> None:
    torch.manual_seed(0)
    encoder = Encoder((1, 28, 28), Sizes(), "demo").eval()
    images = torch.rand(5, 1, 28, 28)
    assert encoder.net[:-2](images).shape == (5, 1)
    mean, log_variance = encoder(100 * images)
    for values in (mean, log_variance):
        assert float(values.detach().min()) > 0 and float(values.detach().max()) < 1


def test_the_label_is_part_of_what_the_generator_sees() -> None:
    torch.manual_seed(0)
    generator = Generator((1, 8, 8), 3, Sizes(latent=4, maps=2, units=8)).eval()
    z = torch.randn(1, 4)
    zero, one = (generator(z, torch.tensor([label])) for label in (0, 1))
    assert not torch.equal(zero, one)


def test_initial_weights_are_small_and_normal() -> None:
    torch.manual_seed(0)
    for net in (
        Generator((1, 28, 28), 10, Sizes()),
        Discriminator((1, 28, 28), Sizes()),
        Encoder((1, 28, 28), Sizes()),
    ):
        for layer in net.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
                assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
                assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("net", [Discriminator, Encoder], ids=lambda net: net.__name__)
def test_images_that_are_too_small_are_refused(net: type[nn.Module]) -> None:
    with pytest.raises(UsageError, match=r"images of 2 x 2 pixels are too small .*use learner=dropout"):
        net((1, 2, 2), Sizes(latent=2, maps=2, units=2))
