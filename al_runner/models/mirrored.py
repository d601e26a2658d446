"""Predictions from an image and its mirror image."""

from torch import Tensor, nn


class Mirrored(nn.Module):
    """A net that predicts the mean of its logits for an image and for its mirror image; trained as it is.

    Test-time flips (Krizhevsky et al., 2012, section 4.1, who average probabilities; Jordan, 2024, logits).
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            logits: Tensor = self.net(x)
            return logits
        flipped = self.net(x.flip(-1))  # first: whoever watches the layers keeps what they made of the image itself
        return (self.net(x) + flipped) / 2  # type: ignore[no-any-return]


def mirrored(net: nn.Module, test_flips: bool) -> nn.Module:
    """The net, with test-time flips where they are asked for."""
    return Mirrored(net) if test_flips else net
