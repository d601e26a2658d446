"""DeepFool: about the smallest change of an image that changes its class (Moosavi-Dezfooli et al., 2016, algorithm 2).

N examples, Y classes, f_k the logit of class k.
"""

from dataclasses import dataclass
from math import inf
from typing import Annotated

import torch
from torch import Tensor, nn

from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, NotNegative
from al_runner.strategies.ranges import finite

CHUNK = 256  # images changed at a time
ROUNDING = 1e-5  # of an image's largest logit: a lead that is smaller may be float32's rounding


@options("strategy")
@dataclass(frozen=True)
class DeepFool:
    """Steps to the nearest boundary of a net that is taken as linear around every step, in L2.

    An image on the boundary, to rounding, counts as across: without an overshoot that is where every step leads, and
    rounding decides the sign of what is left of the lead.
    """

    steps: Annotated[Count, Means("steps of DeepFool, at most")] = 10
    overshoot: Annotated[
        NotNegative, Means("share by which DeepFool's way is lengthened, so that it crosses the boundary")
    ] = 0.02

    def distances(self, net: nn.Module, x: Tensor) -> Tensor:
        """Length of the way to another class, without the overshoot, in pixel values, [N, ...] -> [N].

        Infinite where the net keeps to its class. For a net in evaluation mode, from images to logits [N, Y].
        ArithmeticError where a logit is NaN.
        """
        ways = [self._ways(net, part) for part in x.split(CHUNK)]
        return torch.cat([r.flatten(1).norm(dim=1).masked_fill(~fooled, inf) for r, fooled in ways])

    def twins(self, net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images on or across the boundary to another class, float [N, ...], and whether there is one, bool [N].

        Neither rounded nor clipped to the range of pixels, as small a change as it was found.
        """
        ways = [self._ways(net, part) for part in x.split(CHUNK)]
        r, fooled = (torch.cat(side) for side in zip(*ways, strict=True))
        return x + (1 + self.overshoot) * r, fooled

    def _ways(self, net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of the steps, [N, ...], and whether they and the overshoot lead to another class, [N]."""
        x = x.to(next(weight.dtype for weight in net.parameters()))
        r = torch.zeros_like(x)
        with torch.no_grad():
            logits = finite(net(x), "a logit")
            label, none = logits.argmax(1), ROUNDING * logits.abs().amax(1)
            fooled = lead(logits, label) <= none
        for _ in range(self.steps):
            at = (~fooled).nonzero()[:, 0]
            if not len(at):
                break
            r[at] += to_boundary(net, x[at] + (1 + self.overshoot) * r[at], label[at])
            with torch.no_grad():
                fooled[at] = lead(net(x[at] + (1 + self.overshoot) * r[at]), label[at]) <= none[at]
        return r, fooled


def lead(logits: Tensor, label: Tensor) -> Tensor:
    """By how much the label's logit exceeds all others, [N, Y], [N] -> [N]; ArithmeticError where it is NaN."""
    own = logits.gather(1, label[:, None])
    ahead: Tensor = (own - logits.scatter(1, label[:, None], -inf)).amin(1)
    if bool(ahead.isnan().any()):
        raise ArithmeticError("a distance can't be measured: the net's predictions are NaN")
    return ahead


def to_boundary(net: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """The step |f_k - f_y| / ||w||^2 w, w = grad(f_k - f_y), for the class k of least |f_k - f_y| / ||w||, [N, ...].

    y is `label`, [N]. Zeros where no gradient leads anywhere.
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
