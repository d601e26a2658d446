"""The Kronecker factors of one example, formed alone."""

import torch
from torch import Tensor, nn

from al_runner.fisher import Factors, capture


def single(net: nn.Module, image: Tensor, label: Tensor | None = None) -> dict[str, Factors]:
    """An example's own factors, matrices and all."""
    return {
        name: Factors(s.inputs[0].T @ s.inputs[0], s.gradients[0].T @ s.gradients[0] / s.gradients.shape[1])
        for name, s in capture(net, image[None], None if label is None else label[None]).items()
    }


def single_expected(net: nn.Module, image: Tensor) -> dict[str, Factors]:
    """An example's factors, the second one as its expectation over the prediction."""
    shares = net(image[None]).softmax(1)[0].detach()
    each = [single(net, image, torch.tensor(label)) for label in range(len(shares))]
    return {
        name: Factors(factors.psi, sum(share * own[name].tau for share, own in zip(shares, each, strict=True)))  # type: ignore[arg-type]
        for name, factors in each[0].items()
    }
