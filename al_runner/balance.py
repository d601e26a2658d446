"""Weights that give every class an equal part of a training, however few examples it has.

N examples, B of them in a minibatch, Y classes that have examples.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def class_weights(y: Tensor) -> Tensor:
    """The weight n / (Y n_c) of every class c from labels, int64 [N] -> [largest label + 1]; 0 without an example.

    n = N, and n_c is the number of examples of c (King & Zeng, 2001; `class_weight="balanced"` of scikit-learn).
    """
    counts = torch.bincount(y.cpu())
    there = counts > 0
    return (there * len(y) / (there.sum() * counts.clamp_min(1))).to(y.device)


def example_weights(y: Tensor) -> Tensor:
    """The weight of every example's class, int64 [N] -> [N]. They add to N, and those of each class to N / Y."""
    return class_weights(y)[y]


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """The sum of w l over the sum of w, [..., B] twice -> [...], as torch's cross_entropy has it with `weight`."""
    return (losses * weights).sum(-1) / weights.sum(-1)


@dataclass(frozen=True, eq=False)
class BalancedLoss:
    """The weighted mean of the examples' cross-entropies in nats, from logits [B, Y] and labels [B].

    Label smoothing changes an example's loss, and not its weight.
    """

    of_class: Tensor  # the weight of every class
    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        losses = cross_entropy(logits, y, reduction="none", label_smoothing=self.label_smoothing)
        return weighted_mean(losses, self.of_class[y])

    def __repr__(self) -> str:
        """Exact, because fits train as one stack if the reprs of their losses are equal."""
        return f"BalancedLoss({self.of_class.tolist()}, {self.label_smoothing})"
