"""What predictions are worth, besides their error.

N images, Y classes. All tensors are on the CPU: sums by class or by bin have no fixed order on a GPU.
"""

import torch
from torch import Tensor

BINS = 15  # of the calibration error (Guo et al., 2017, section 4)


def confusion_matrix(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How many images of each class (rows) got each prediction (columns), two [N] -> int64 [Y, Y]."""
    return torch.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def balanced_accuracy(confusion: Tensor) -> float:
    """Mean of the classes' accuracies, in [0, 1], [Y, Y] -> 1. A class without test images does not count."""
    images = confusion.sum(1)
    there = images > 0
    return float((confusion.diagonal()[there].double() / images[there]).mean())


def macro_f1(confusion: Tensor) -> float:
    """Mean of the classes' F1 scores, in [0, 1], [Y, Y] -> 1. A class that is neither there nor predicted is left out.

    F1 is the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), and 0 if a class is never predicted.
    """
    both = confusion.sum(0) + confusion.sum(1)
    there = both > 0
    return float((2 * confusion.diagonal()[there].double() / both[there]).mean())


def brier_score(probs: Tensor, labels: Tensor) -> float:
    """Mean squared distance of the probabilities to the one-hot label, in [0, 2], [N, Y] -> 1 (Brier, 1950, eq. 2)."""
    right = probs.gather(1, labels[:, None]).squeeze(1)
    return float((probs.square().sum(1) - 2 * right + 1).mean())


def calibration_error(probs: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error, in [0, 1], [N, Y] -> 1 (Guo et al., 2017, eq. 3).

    The images are put into `bins` bins of equal width by their confidence, the largest probability; bin m of M has
    those in ((m - 1) / M, m / M]. The error is the mean over images of |accuracy - confidence| of an image's bin.
    """
    confidence, predictions = probs.max(1)
    edges = torch.linspace(0, 1, bins + 1, dtype=probs.dtype)[1:-1]
    gaps = torch.zeros(bins, dtype=probs.dtype)
    gaps.index_add_(0, torch.bucketize(confidence, edges), (predictions == labels).to(probs.dtype) - confidence)
    return float(gaps.abs().sum()) / len(labels)
