"""Predictions that average over an image and its mirror image."""

from typing import Annotated

from torch import Tensor, nn

from al_runner.settings.kinds import Means

# The option of every net that can do this.
TestFlips = Annotated[bool, Means("predict the mean over each image and its mirror image")]


class Mirrored(nn.Module):
    """In evaluation mode, gives the mean of a net's logits for an image and for its mirror image; trains as the net.

    This is called test-time flips. Krizhevsky et al. (2012, section 4.1) average probabilities, Jordan (2024) logits.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            logits: Tensor = self.net(x)
            return logits
        flipped = self.net(x.flip(-1))  # first, so that hooks on the layers see the image itself last
        return (self.net(x) + flipped) / 2  # type: ignore[no-any-return]


def mirrored(net: nn.Module, test_flips: bool) -> nn.Module:
    """The net, with test-time flips if `test_flips`."""
    return Mirrored(net) if test_flips else net
