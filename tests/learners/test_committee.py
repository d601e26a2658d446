import pytest
import torch
from torch import nn

from al_runner.errors import UsageError
from al_runner.learners.committee import Committee
from al_runner.training import Trained
from al_runner.types import mean_log_probs


def test_members_are_posterior_samples() -> None:
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)) for _ in range(3)]
    committee = Committee.of([Trained(net, 5, 0.1) for net in nets])
    x = torch.rand(700, 1, 2, 2)
    assert committee.steps == 15
    assert not any(net.training for net in committee.nets)
    apart = torch.stack([net(x).log_softmax(1) for net in nets], 1)
    assert torch.allclose(committee.log_probs(x), apart)
    assert torch.allclose(mean_log_probs(committee.log_probs(x)).exp(), apart.exp().mean(1), atol=1e-6)
    assert torch.allclose(committee.features(x), torch.cat([net[:3](x) for net in nets], 1))
    with pytest.raises(UsageError, match="use learner=plain"):
        committee.network()
