"""The metrics of test predictions, held against scikit-learn or against their definition image by image."""

from math import ceil

import pytest
import sklearn.metrics
import torch
from torch import Tensor

from al_runner.metrics import balanced_accuracy, brier_score, calibration_error, confusion_matrix, macro_f1


def made(seed: int, n: int, classes: int, used: int | None = None) -> tuple[Tensor, Tensor]:
    """Probabilities [N, Y] and labels [N] of which only the first `used` classes occur."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, classes, generator=rng, dtype=torch.float64)
    return logits.softmax(1), torch.randint(used or classes, (n,), generator=rng)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")  # of scikit-learn, which leaves them out as we do
@pytest.mark.parametrize(("n", "classes", "used"), [(200, 2, 2), (500, 7, 7), (30, 10, 10), (80, 6, 4), (1, 3, 3)])
def test_as_scikit_learn(n: int, classes: int, used: int) -> None:
    """Also if some classes have no test image, or none that is predicted."""
    probs, labels = made(n, n, classes, used)
    predictions, every = probs.argmax(1), [*range(classes)]
    confusion = confusion_matrix(predictions, labels, classes)
    assert confusion.tolist() == sklearn.metrics.confusion_matrix(labels, predictions, labels=every).tolist()
    expected = sklearn.metrics.balanced_accuracy_score(labels, predictions)
    assert balanced_accuracy(confusion) == pytest.approx(expected, rel=1e-12)
    expected = sklearn.metrics.f1_score(labels, predictions, average="macro", zero_division=0)
    assert macro_f1(confusion) == pytest.approx(expected, rel=1e-12)
    expected = sklearn.metrics.brier_score_loss(labels, probs, labels=every, scale_by_half=False)
    assert brier_score(probs, labels) == pytest.approx(expected, rel=1e-12)


def test_a_balanced_test_set_has_the_same_accuracy_and_balanced_accuracy() -> None:
    probs, _ = made(3, 300, 3)
    labels = torch.arange(300) % 3
    confusion = confusion_matrix(probs.argmax(1), labels, 3)
    assert balanced_accuracy(confusion) == pytest.approx(float((probs.argmax(1) == labels).double().mean()))


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_calibration_error_bin_by_bin(bins: int) -> None:
    """Image by image, as equation 3 says; some confidences lie on the edges of bins, and belong to the lower bin."""
    probs, labels = made(4, 400, 4)
    probs[:40] = torch.tensor([0.6, 0.4, 0.0, 0.0], dtype=torch.float64)
    probs[40] = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    members: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(probs.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        members.setdefault(ceil(round(confidence * bins, 9)), []).append((confidence, row.index(confidence) == label))
    expected = sum(
        len(own) / 400 * abs(sum(hit for _, hit in own) / len(own) - sum(sure for sure, _ in own) / len(own))
        for own in members.values()
    )
    assert calibration_error(probs, labels, bins) == pytest.approx(expected, rel=1e-12)
    assert len(members) > 1 or bins == 1


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower_one() -> None:
    """In the upper one, the images that are right would make up for one that is wrong."""
    probs = torch.tensor([[0.75, 0.25], [0.75, 0.25], [0.9, 0.1]], dtype=torch.float64)
    assert calibration_error(probs, torch.tensor([0, 0, 1]), bins=4) == pytest.approx((0.5 + 0.9) / 3)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not() -> None:
    sure, labels = torch.eye(3, dtype=torch.float64), torch.arange(3)
    assert (calibration_error(sure, labels), brier_score(sure, labels)) == (0, 0)
    assert (calibration_error(sure, labels.roll(1)), brier_score(sure, labels.roll(1))) == (1, 2)
