"""What predictions are worth, besides their error.

N images, Y classes. All tensors are on the CPU: sums by class or by bin have no fixed order on a GPU.
"""

from math import nan

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


def log_odds(log_probs: Tensor) -> Tensor:
    """log p - log(1 - p) of every class from log probabilities in float64, [N, Y] -> [N, Y].

    It orders images as p does, also where p is so close to 1 that it is rounded to 1.
    """
    probs, top = log_probs.exp(), log_probs.argmax(1, keepdim=True)
    others = (probs.sum(1, keepdim=True) - probs).log()
    without_top = log_probs.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)  # here a difference would cancel
    return log_probs - others.scatter(1, top, without_top)


def ranking(scores: Tensor, labels: Tensor) -> tuple[float, float]:
    """Area under the ROC curve and average precision, in [0, 1], of each class's scores, [N, Y] and [N].

    Both are means over the classes, each against the rest. A class counts if the images have some of it and some of
    others; NaN without such a class.
    """
    found = [ranking_of(of_class, labels == label) for label, of_class in enumerate(scores.T)]
    both = torch.tensor([pair for pair in found if pair is not None], dtype=torch.float64)
    auroc, precision = both.mean(0).tolist() if len(both) else (nan, nan)
    return auroc, precision


def ranking_of(scores: Tensor, positive: Tensor) -> tuple[float, float] | None:
    """Area under the ROC curve and average precision of the scores of positives and others, [N] and bool [N].

    The area is the chance that a positive has a higher score than another image; equal scores count half (Hanley &
    McNeil, 1982). The average precision is the sum of (R_k - R_(k-1)) P_k over the different scores from high to low;
    R_k and P_k are recall and precision of the images that have score k or more. None without a positive, or without
    another image.
    """
    positives = int(positive.sum())
    if positives in (0, len(positive)):
        return None
    ordered, order = scores.sort(descending=True)
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])  # of the images with one score
    # Positives, and all images, with a score or a higher one; first of all none.
    hits = torch.cat([torch.zeros(1), positive[order].cumsum(0)[last]]).double()
    taken = torch.cat([torch.zeros(1), last.nonzero()[:, 0] + 1]).double()
    higher = (hits[1:] + hits[:-1]) / 2  # positives above an image of this score; an equal one is half above it
    auroc = ((taken - hits).diff() * higher).sum() / (positives * (len(positive) - positives))
    precision = (hits.diff() * hits[1:] / taken[1:]).sum() / positives
    return float(auroc), float(precision)
