"""The joint steps against the equations, written out with autograd on copies of the nets."""

from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from made_parts import MAKERS, SIZES, fit, minibatch, parts
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, cross_entropy

from al_runner.balance import BalancedLoss, class_weights
from al_runner.engine.one_by_one import train
from al_runner.generative.acgan import Acgan
from al_runner.generative.parts import Parts, lent
from al_runner.generative.vae_acgan import VaeAcgan
from al_runner.training import Joint, Loss, Move

VAE = VaeAcgan(MAKERS, SIZES.latent, divergence_weight=0.4, reconstruction_weight=0.6)
GAN = Acgan(MAKERS, SIZES.latent)


@dataclass
class Recorder:
    """Moves parts by plain gradient descent of rate 0.3, and keeps what it saw."""

    net: Parts

    def __post_init__(self) -> None:
        self.order: list[str] = []
        self.losses: list[float] = []
        self.changed: list[set[str]] = []

    def __call__(self, part: str, loss: Tensor) -> None:
        self.order.append(part)
        self.losses.append(float(loss.detach()))
        before = deepcopy(self.net.state_dict())
        weights = list(self.net.get_submodule(part).parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= 0.3 * gradient
        now = self.net.state_dict()
        self.changed.append({name.partition(".")[0] for name in now if not torch.equal(now[name], before[name])})


def take(joint: Joint, net: Parts, seed: int = 0) -> Recorder:
    move = Recorder(net)
    total = joint.step(net, *minibatch(), cross_entropy, move, torch.Generator().manual_seed(seed))
    assert not total.requires_grad
    assert float(total) == pytest.approx(sum(move.losses), rel=1e-5)
    return move


def fake(logits: Tensor) -> Tensor:
    return binary_cross_entropy(logits.sigmoid(), torch.zeros(len(logits)))


def real(logits: Tensor) -> Tensor:
    return binary_cross_entropy(logits.sigmoid(), torch.ones(len(logits)))


def descend(net: nn.Module, loss: Tensor) -> float:
    """One step of rate 0.3 on a net's weights."""
    weights = list(net.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.data -= 0.3 * gradient
    return float(loss.detach())


def test_a_step_of_vae_acgan_is_the_four_equations_in_their_order() -> None:
    ours, net = parts(), parts()
    move = take(VAE, ours)
    x, y = minibatch()
    images, rng = x / 255, torch.Generator().manual_seed(0)

    def noise() -> Tensor:
        return torch.randn(6, SIZES.latent, generator=rng)

    e, g, d, c = net.encoder, net.generator, net.discriminator, net.classifier
    mean, log_variance = e(images)
    kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).mean()
    made = g(mean + log_variance.exp().sqrt() * noise(), y)
    losses = [descend(e, ((made - images) ** 2).mean() + 0.4 * kl)]
    mean, log_variance = e(images)
    z_e, z = (mean + log_variance.exp().sqrt() * noise()).detach(), noise()
    both = g(torch.cat([z, z_e]), torch.cat([y, y]))
    made, twins = both[:6], both[6:]
    of_generator = real(d(made)) + cross_entropy(c(255 * made), y) + 0.6 * ((twins - images) ** 2).mean()
    losses.append(descend(g, of_generator))
    made, twins = made.detach(), twins.detach()
    losses.append(descend(d, real(d(images)) + fake(d(made)) + fake(d(twins))))
    whole = c(255 * torch.cat([images, made, twins]))
    of_classifier = sum(cross_entropy(part, y) for part in whole.split(6))
    losses.append(descend(c, of_classifier))

    assert move.order == ["encoder", "generator", "discriminator", "classifier"]
    assert move.losses == pytest.approx(losses, rel=1e-5)
    same_weights(ours, net)


def test_a_step_of_acgan_is_the_three_equations_in_their_order() -> None:
    ours, net = parts(), parts()
    move = take(GAN, ours)
    x, y = minibatch()
    images = x / 255
    z = torch.rand(6, SIZES.latent, generator=torch.Generator().manual_seed(0))
    g, d, c = net.generator, net.discriminator, net.classifier
    made = g(z, y)
    losses = [descend(d, real(d(images)) + fake(d(made.detach())))]
    whole = c(255 * torch.cat([images, made.detach()]))
    losses.append(descend(c, sum(cross_entropy(part, y) for part in whole.split(6))))
    losses.append(descend(g, real(d(made)) + cross_entropy(c(255 * made), y)))

    assert move.order == ["discriminator", "classifier", "generator"]
    assert move.losses == pytest.approx(losses, rel=1e-5)
    same_weights(ours, net)


def same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("joint", [VAE, GAN], ids=lambda joint: type(joint).__name__)
def test_every_move_changes_its_own_part_alone(joint: Joint) -> None:
    move = take(joint, parts())
    assert move.changed == [{part} for part in move.order]


@pytest.mark.parametrize("joint", [VAE, GAN], ids=lambda joint: type(joint).__name__)
def test_batch_norm_takes_note_of_its_owner_s_passes_alone(joint: Joint) -> None:
    """One pass a step, but the discriminator's, which sees real and generated images apart."""
    net = parts()
    take(joint, net)
    counts = {
        part: {int(value) for name, value in module.state_dict().items() if name.endswith("num_batches_tracked")}
        for part, module in net.named_children()
    }
    passes = 3 if joint is VAE else 2
    assert counts["generator"] == {1} and counts["discriminator"] == {passes}
    assert counts["encoder"] == ({1} if joint is VAE else {0})
    assert all(
        layer.track_running_stats for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    )


def test_nets_that_are_lent_are_given_back_after_an_error() -> None:
    net = parts()
    with pytest.raises(ZeroDivisionError), lent(net.generator):
        raise ZeroDivisionError
    assert all(layer.track_running_stats for layer in net.generator.net if isinstance(layer, nn.BatchNorm1d))


@pytest.mark.parametrize("joint", [VAE, GAN], ids=lambda joint: type(joint).__name__)
def test_what_is_drawn_hangs_on_the_generator_alone(joint: Joint) -> None:
    nets = [parts(), parts(), parts()]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        torch.rand(3)
        take(joint, net, seed)
    first, second, third = (torch.cat([weight.flatten() for weight in net.parameters()]) for net in nets)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_the_parts_as_a_net_are_the_classifier_and_twins_are_of_the_mean_code() -> None:
    net = parts()
    x, y = minibatch()
    net.eval()
    assert torch.equal(net(x), net.classifier(x))
    torch.testing.assert_close(net.classified(x / 255), net(x))
    assert torch.equal(net.twins(x, y), net.generator(net.encoder(x / 255)[0], y))


def test_the_classifier_s_loss_has_the_recipe_s_class_weights() -> None:
    losses: list[Loss] = []

    class Spying(Acgan):
        def step(self, net: Parts, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
            losses.append(loss)
            return super().step(net, x, y, loss, move, rng)

    asked = fit(Spying(MAKERS, SIZES.latent), class_weights="balanced")
    train(asked)
    assert repr(losses[0]) == repr(BalancedLoss(class_weights(asked.data.y)))
