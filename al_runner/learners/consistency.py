"""The step of FixMatch: a net learns to predict for a strongly changed image what it predicts for the image itself.

B labelled and M unlabelled images in a minibatch, Y classes.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from al_runner.training import Loss, Move, Recipe
from al_runner.types import Images


def consistency(weak: Tensor, strong: Tensor, threshold: float) -> Tensor:
    """FixMatch's loss of unlabelled images in nats, from logits of their weak and strong views, [M, Y] each.

    1/M times the sum, over the images whose most likely class has a probability of at least `threshold` in the weak
    view, of the cross-entropy of the strong view with that class (Sohn et al., 2020, eq. 4). The weak views get no
    gradient.
    """
    confidence, classes = weak.detach().float().softmax(1).max(1)
    return (cross_entropy(strong, classes, reduction="none") * (confidence >= threshold)).mean()


class Views(nn.Module):
    """A net in training, the mean of its weights over the steps, and the two ways in which its images are changed.

    Its own output, in evaluation, is that of the mean. After step k the mean keeps the share min(ema, k / (k + 9)) of
    itself and takes the rest from the net. So at first it covers the last ninth of the steps, as with the `num_updates`
    of TensorFlow's moving average, and a short training does not end with a mean of its first weights.
    """

    def __init__(self, net: nn.Module, weak: nn.Module, strong: nn.Module, ema: float):
        super().__init__()
        self.net, self.mean = net, deepcopy(net)
        self.weak, self.strong = weak, strong
        self.ema, self.steps = ema, 0

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> logits [N, Y]."""
        logits: Tensor = self.mean(x)
        return logits

    @torch.no_grad()
    def follow(self) -> None:
        """Take the net's weights after a step into the mean. Buffers, such as BatchNorm's statistics, are copied."""
        self.steps += 1
        kept_share = min(self.ema, self.steps / (self.steps + 9))
        for mean, weight in zip(self.mean.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(weight, 1 - kept_share)
        for kept, buffer in zip(self.mean.buffers(), self.net.buffers(), strict=True):
            kept.copy_(buffer)


@dataclass(frozen=True)
class BuildViews:
    """Builds `Views` with new weights, those that the net has with learner=plain."""

    build: Callable[[], nn.Module]
    init: Callable[[nn.Module], object] | None  # the recipe's
    weak: Callable[[], nn.Module]
    strong: Callable[[], nn.Module]
    ema: float

    def __call__(self) -> Views:
        net = self.build()
        if self.init is not None:
            self.init(net)
        return Views(net, self.weak(), self.strong(), self.ema)


@dataclass(frozen=True)
class Consistency:
    """A step on the labelled images' loss plus `weight` times `consistency` of unlabelled images (eq. 3 and 4).

    All images are changed weakly, and those of the strong views then strongly. They go through the net in one pass, as
    in the published code, so BatchNorm has the statistics of all. The unlabelled images are drawn with replacement.
    """

    threshold: float
    weight: float
    count: int  # M
    unlabelled: Images | None = field(repr=False)

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return {"net": recipe}

    def step(self, net: Views, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        others = self.drawn(x, rng)
        sizes = [len(x), len(others), len(others)]
        labelled, weak, strong = net.weak(torch.cat([x, others, others])).split(sizes)
        logits, of_weak, of_strong = net.net(torch.cat([labelled, weak, net.strong(strong)])).split(sizes)
        total = loss(logits, y)
        if len(others):
            total = total + self.weight * consistency(of_weak, of_strong, self.threshold)
        move("net", total)
        net.follow()
        return total.detach()

    def drawn(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Random unlabelled images, [M, C, H, W]; none if there are none."""
        if self.unlabelled is None or not len(self.unlabelled):
            return x[:0]
        return self.unlabelled[torch.randint(len(self.unlabelled), (self.count,), generator=rng).to(x.device)]
