"""DeepFool: approximates the smallest change of an image that changes its predicted class.

Source: Moosavi-Dezfooli et al. (2016, algorithm 2). N examples, Y classes, f_k the logit of class k.
"""

from dataclasses import dataclass
from math import inf
from typing import Annotated

import torch
from torch import Tensor, nn

from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, NotNegative
from al_runner.strategies.ranges import finite
from al_runner.system.chunks import in_parts

CHUNK = 256  # images changed at once; fewer if they are large
ROUNDING = 1e-5  # share of an image's largest logit; a smaller lead may be float32's rounding


@options("strategy")
@dataclass(frozen=True)
class DeepFool:
    """Steps to the nearest decision boundary in L2; each step treats the net as linear.

    An image that is on the boundary, within rounding, counts as across it. Without an overshoot every step ends there,
    and only rounding would decide on which side.
    """

    steps: Annotated[Count, Means("the most steps of DeepFool")] = 10
    overshoot: Annotated[
        NotNegative, Means("share by which DeepFool's change is made longer, so that it crosses the boundary")
    ] = 0.02

    def distances(self, net: nn.Module, x: Tensor) -> Tensor:
        """L2 length of the change to another class, without the overshoot, in pixel values, [N, ...] -> [N].

        Infinite if no change of class was found. `net` is in evaluation mode and maps images to logits [N, Y]. Raises
        ArithmeticError if a logit is NaN or infinite.
        """
        ways = [self._ways(net, part) for part in in_parts(x, CHUNK)]
        return torch.cat([r.flatten(1).norm(dim=1).masked_fill(~fooled, inf) for r, fooled in ways])

    def twins(self, net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Changed images, on or across the boundary, float [N, ...], and whether the class changed, bool [N].

        The changed images are neither rounded nor clipped to the range of pixels, so the change stays as small as it
        was found. Raises ArithmeticError if a logit is NaN or infinite.
        """
        ways = [self._ways(net, part) for part in in_parts(x, CHUNK)]
        r, fooled = (torch.cat(side) for side in zip(*ways, strict=True))
        return x + (1 + self.overshoot) * r, fooled

    def _ways(self, net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of an image's steps, [N, ...], and whether it leads to another class with the overshoot, [N]."""
        x = x.to(next(weight.dtype for weight in net.parameters()))
        r = torch.zeros_like(x)
        with torch.no_grad():
            logits = finite(net(x), "a logit")
            label, tolerance = logits.argmax(1), ROUNDING * logits.abs().amax(1)
            fooled = lead(logits, label) <= tolerance
        for _ in range(self.steps):
            at = (~fooled).nonzero()[:, 0]
            if not len(at):
                break
            r[at] += to_boundary(net, x[at] + (1 + self.overshoot) * r[at], label[at])
            with torch.no_grad():
                fooled[at] = lead(net(x[at] + (1 + self.overshoot) * r[at]), label[at]) <= tolerance[at]
        return r, fooled


def lead(logits: Tensor, label: Tensor) -> Tensor:
    """The label's logit minus the largest other logit, [N, Y], [N] -> [N]; raises ArithmeticError if it is NaN."""
    own = logits.gather(1, label[:, None])
    ahead: Tensor = (own - logits.scatter(1, label[:, None], -inf)).amin(1)
    if bool(ahead.isnan().any()):
        raise ArithmeticError("a distance can't be measured: the net's predictions are NaN")
    return ahead


def to_boundary(net: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """The step |f_k - f_y| / ||w||^2 w with w = grad(f_k - f_y), for the class k with the least |f_k - f_y| / ||w||.

    y is `label`, [N]; images and steps are [N, ...]. A step is 0 if all gradients w are 0.
    """
    shape = (-1, *[1] * (x.ndim - 1))
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
        own = logits.gather(1, label[:, None])[:, 0]
        (towards_own,) = torch.autograd.grad(own.sum(), x, retain_graph=True)
        least, step = torch.full_like(own.detach(), inf), torch.zeros_like(x)
        for k in range(logits.shape[1]):
            (towards,) = torch.autograd.grad(logits[:, k].sum(), x, retain_graph=True)
            w = towards - towards_own
            norm, gap = w.flatten(1).norm(dim=1), (logits[:, k] - own).detach().abs()
            nearer = (label != k) & (norm > 0) & (gap / norm < least)
            least = torch.where(nearer, gap / norm, least)
            step = torch.where(nearer.view(shape), (gap / norm).view(shape) * (w / norm.view(shape)), step)
    return step.detach()
