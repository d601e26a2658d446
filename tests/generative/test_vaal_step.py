"""The joint step of VAAL against the equations, and against the loss of the published code."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, mse_loss

from al_runner.generative.vaal import Autoencoder, BuildPlayers, Game, Players

BUILD = BuildPlayers((1, 6, 6), latent=3, maps=4, units=5, low=0.0, high=255.0)
STEP = Game(steps=2, divergence_weight=0.7, adversary_weight=0.3)


def players() -> Players:
    torch.manual_seed(0)
    return BUILD().train()


def minibatch(n: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 1, 6, 6), generator=rng, dtype=torch.uint8), torch.arange(n) % 2


def descend(net: nn.Module, loss: Tensor) -> float:
    """One step of rate 0.1 on a net's weights."""
    weights = list(net.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.data -= 0.1 * gradient
    return float(loss.detach())


def draw(mean: Tensor, log_variance: Tensor, rng: torch.Generator) -> Tensor:
    return mean + log_variance.exp().sqrt() * torch.randn(mean.shape, generator=rng)


def test_a_step_is_two_moves_of_the_autoencoder_and_one_of_the_discriminator() -> None:
    ours, net = players(), players()
    x, y = minibatch(8)
    order: list[str] = []
    losses: list[float] = []

    def move(part: str, loss: Tensor) -> None:
        order.append(part)
        losses.append(descend(ours.get_submodule(part), loss))

    total = STEP.step(ours, x, y, nn.CrossEntropyLoss(), move, torch.Generator().manual_seed(2))
    assert order == ["autoencoder", "autoencoder", "discriminator"]
    assert float(total) == pytest.approx(sum(losses), rel=1e-5) and not total.requires_grad

    e, d, rng, expected = net.autoencoder, net.discriminator, torch.Generator().manual_seed(2), []
    for real in (x / 127.5 - 1).split(4):
        mean, log_variance = e(real)
        twins = e.decoded(draw(mean, log_variance, rng))
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).mean()
        seen = d(mean).sigmoid()
        loss = ((twins - real) ** 2).mean() + 0.7 * kl + 0.3 * binary_cross_entropy(seen, torch.ones_like(seen))
        expected.append(descend(e, loss))
    mean = e(real)[0].detach()
    expected.append(descend(d, binary_cross_entropy(d(mean).sigmoid()[:, 0], y[4:].float())))
    assert losses == pytest.approx(expected, rel=1e-5)
    for (name, one), other in zip(ours.named_parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)


def test_batch_norm_takes_note_of_the_autoencoder_s_own_passes_alone() -> None:
    net = players()
    STEP.step(net, *minibatch(8), nn.CrossEntropyLoss(), lambda part, loss: None, torch.Generator())
    counts = {int(value) for name, value in net.state_dict().items() if name.endswith("num_batches_tracked")}
    assert counts == {2}


def test_its_weights_give_the_published_code_s_loss() -> None:
    """Theirs sums the divergence over 128 images of each kind and 32 numbers, and adds both kinds: twice ours."""
    torch.manual_seed(0)
    net = BuildPlayers((1, 6, 6), 32, 4, 5, 0.0, 255.0)().train()
    x, _ = minibatch(256)
    real, e, d = x / 127.5 - 1, net.autoencoder, net.discriminator
    mean, log_variance = e(real)
    twins = e.decoded(draw(mean, log_variance, torch.Generator().manual_seed(2)))
    theirs = torch.zeros(())
    for half in (slice(128), slice(128, None)):
        m, v, seen = mean[half], log_variance[half], d(mean[half]).sigmoid()
        theirs = theirs + mse_loss(twins[half], real[half]) - 0.5 * torch.sum(1 + v - m.pow(2) - v.exp())
        theirs = theirs + binary_cross_entropy(seen, torch.ones_like(seen))
    losses: list[Tensor] = []
    published = Game(steps=1, divergence_weight=4096, adversary_weight=1)
    published.step(
        net,
        x,
        torch.zeros(256),
        nn.CrossEntropyLoss(),
        lambda part, loss: losses.append(loss.detach()),
        torch.Generator().manual_seed(2),
    )
    torch.testing.assert_close(2 * losses[0], theirs.detach(), rtol=1e-4, atol=0)


def test_for_images_of_32_pixels_it_has_the_published_layers() -> None:
    net = BuildPlayers((3, 32, 32), 32, 128, 512, 0.0, 255.0)()
    kernels = [tuple(w.shape) for w in net.autoencoder.encoder.parameters() if w.ndim == 4]
    assert kernels == [(128, 3, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1024, 512, 4, 4)]
    assert net.autoencoder.mean.weight.shape == net.autoencoder.log_variance.weight.shape == (32, 1024 * 2 * 2)
    back = [tuple(w.shape) for w in net.autoencoder.decoder.parameters() if w.ndim > 1]
    expected = [(1024, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 1, 1)]
    assert back == [(1024 * 4 * 4, 32), *expected]
    assert [tuple(w.shape) for w in net.discriminator.parameters() if w.ndim > 1] == [(512, 32), (512, 512), (1, 512)]


@pytest.mark.parametrize("shape", [(7, 1, 1), (1, 2, 2), (1, 6, 6), (2, 8, 5), (1, 28, 28), (3, 33, 47), (3, 96, 64)])
def test_images_of_any_size_are_restored_at_that_size(shape: tuple[int, int, int]) -> None:
    net = Autoencoder(shape, latent=3, maps=2)
    mean, log_variance = net(torch.rand(4, *shape))
    assert mean.shape == log_variance.shape == (4, 3)
    assert net.decoded(mean).shape == (4, *shape)


def test_values_are_scaled_to_plus_and_minus_1_and_a_constant_pool_is_not_divided_by_nothing() -> None:
    net = players()
    assert net.scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    still = BuildPlayers((1, 6, 6), 3, 4, 5, 2.0, 2.0)()
    assert still.scaled(torch.tensor([2.0])).tolist() == [-1]


def test_equal_reprs_mean_equal_trainings() -> None:
    assert repr(BUILD) == repr(BuildPlayers((1, 6, 6), 3, 4, 5, 0.0, 255.0))
    assert repr(BUILD) != repr(BuildPlayers((1, 6, 6), 3, 4, 5, 0.0, 254.0))
    assert repr(STEP) != repr(Game(2, 0.7, 0.4))
