"""The losses of the generative nets, one function for each equation.

N images of values in [0, 1], Z latent numbers; logits of the discriminator [N], above 0 for "real".
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, [N, Z] each -> its mean over images and latent numbers.

    1/2 (mean^2 + variance - ln variance - 1) (Kingma & Welling, 2014, appendix B).
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).mean()


def reconstruction(twins: Tensor, real: Tensor) -> Tensor:
    """||x' - x||^2, [N, C, H, W] each -> its mean over images and pixels."""
    return mse_loss(twins, real)


def seen_as_real(logits: Tensor) -> Tensor:
    """-ln d(x), [N] -> its mean."""
    return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def seen_as_made(logits: Tensor) -> Tensor:
    """-ln(1 - d(x)), [N] -> its mean."""
    return binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def distances(twins: Tensor, real: Tensor) -> Tensor:
    """||x' - x||, the Euclidean distance over all values of an image, [N, C, H, W] each -> [N].

    It is at most sqrt(D) for images of D values in [0, 1] (Tran et al., 2019, eq. 4 and figure 3).
    """
    norms: Tensor = (twins - real).flatten(1).norm(dim=1)
    return norms
