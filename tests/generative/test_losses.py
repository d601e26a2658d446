"""Every loss against its formula, written out number by number."""

import math

import pytest
import torch

from al_runner.generative.losses import distances, divergence, reconstruction, seen_as_made, seen_as_real


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    mean, log_variance = torch.tensor([[0.5, -1.0], [0.0, 2.0]]), torch.tensor([[0.1, -0.7], [0.0, 1.2]])
    rows = [(0.5, 0.1), (-1.0, -0.7), (0.0, 0.0), (2.0, 1.2)]
    by_hand = [0.5 * (m * m + math.exp(v) - v - 1) for m, v in rows]
    assert float(divergence(mean, log_variance)) == pytest.approx(sum(by_hand) / 4, rel=1e-6)
    known = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    assert float(divergence(mean, log_variance)) == pytest.approx(float(known.mean()), rel=1e-6)
    assert float(divergence(torch.zeros(3, 2), torch.zeros(3, 2))) == 0


def test_reconstruction_and_distances() -> None:
    twins, real = torch.tensor([[0.1, 0.9], [0.5, 0.4]]), torch.tensor([[0.0, 1.0], [0.2, 0.8]])
    twins, real = twins.view(2, 1, 1, 2), real.view(2, 1, 1, 2)
    assert float(reconstruction(twins, real)) == pytest.approx((0.01 + 0.01 + 0.09 + 0.16) / 4, rel=1e-5)
    assert distances(twins, real).tolist() == pytest.approx([math.sqrt(0.02), 0.5], rel=1e-5)


def test_what_a_discriminator_says() -> None:
    logits = torch.tensor([0.3, -1.2, 4.0])
    d = [1 / (1 + math.exp(-logit)) for logit in (0.3, -1.2, 4.0)]
    assert float(seen_as_real(logits)) == pytest.approx(-sum(map(math.log, d)) / 3, rel=1e-5)
    assert float(seen_as_made(logits)) == pytest.approx(-sum(math.log(1 - p) for p in d) / 3, rel=1e-5)
    assert float(seen_as_made(torch.tensor([300.0]))) == 300  # no log of 0 where d is sure
