"""The metrics of test predictions, held against scikit-learn or against their definition image by image."""

from math import ceil, isnan

import pytest
import sklearn.metrics
import torch
from torch import Tensor

from al_runner.loop.measure import other_metrics
from al_runner.metrics import (
    balanced_accuracy,
    brier_score,
    calibration_error,
    confusion_matrix,
    log_odds,
    macro_f1,
    ranking,
)


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


def one_against_rest(scores: Tensor, labels: Tensor) -> list[float]:
    """scikit-learn's AUROC and average precision, as means over the classes that are there and absent both."""
    values = []
    for measure in (sklearn.metrics.roc_auc_score, sklearn.metrics.average_precision_score):
        per_class = [
            measure(own, of_class)
            for own, of_class in ((labels == label, scores[:, label]) for label in range(scores.shape[1]))
            if own.any() and not own.all()
        ]
        values.append(sum(per_class) / len(per_class))
    return values


@pytest.mark.parametrize("values", [None, 5, 2], ids=["distinct", "many ties", "two values"])
@pytest.mark.parametrize(("n", "classes", "used"), [(200, 2, 2), (500, 7, 7), (30, 10, 10), (80, 6, 4), (7, 3, 2)])
def test_ranking_as_scikit_learn(n: int, classes: int, used: int, values: int | None) -> None:
    scores, labels = made(n, n, classes, used)
    labels[:used] = torch.arange(used)
    scores = scores if values is None else (scores * (values - 1)).round()
    assert ranking(scores, labels) == pytest.approx(one_against_rest(scores, labels), rel=1e-12)


def test_auroc_as_scikit_learn_s_own_mean_over_classes() -> None:
    probs, labels = made(5, 300, 4)
    expected = sklearn.metrics.roc_auc_score(labels, probs, multi_class="ovr", average="macro")
    assert ranking(probs, labels)[0] == pytest.approx(expected, rel=1e-12)
    row, _ = other_metrics(probs.log(), labels)
    assert row["test_auroc"] == pytest.approx(expected, rel=1e-12)
    assert row["test_average_precision"] == pytest.approx(one_against_rest(probs, labels)[1], rel=1e-12)


def test_equal_scores_by_hand() -> None:
    """A positive above one of two others and equal to the other one: 1.5 of 2 pairs; its precision is 1 of 2 images."""
    scores = torch.tensor([[0.5], [0.5], [0.2]], dtype=torch.float64)
    assert ranking(scores, torch.tensor([0, 1, 1])) == (0.75, 0.5)


def test_certain_wrong_and_undefined_rankings() -> None:
    sure, labels = torch.eye(3, dtype=torch.float64), torch.arange(3)
    assert ranking(sure, labels) == (1, 1)
    assert ranking(-sure, labels)[0] == 0
    assert ranking(torch.ones(3, 3), labels) == pytest.approx((0.5, 1 / 3))
    assert all(map(isnan, ranking(sure, torch.zeros(3, dtype=torch.int64))))


@pytest.mark.parametrize("scale", [1, 60])
def test_two_classes_have_the_usual_auroc_also_where_float32_rounds_to_1(scale: int) -> None:
    """With a scale of 60, most of the larger probabilities are exactly 1, so that they alone would not order images."""
    rng = torch.Generator().manual_seed(1)
    logits = scale * torch.randn(400, 2, generator=rng)
    labels = (logits[:, 1] - logits[:, 0] + 2 * scale * torch.randn(400, generator=rng) > 0).long()
    log_probs = logits.log_softmax(1)
    assert (int((log_probs.exp() == 1).sum()) > 200) == (scale == 60)
    margins = (log_probs[:, 1] - log_probs[:, 0]).double()
    row, _ = other_metrics(log_probs, labels)
    assert row["test_auroc"] == pytest.approx(sklearn.metrics.roc_auc_score(labels, margins), rel=1e-12)


def test_log_odds_keep_the_order_of_probabilities() -> None:
    probs, _ = made(6, 100, 5)
    assert torch.allclose(log_odds(probs.log()), probs.logit(), rtol=1e-9, atol=1e-9)
    far = torch.tensor([[0.0, -800.0, -900.0], [-0.0, -850.0, -850.0]], dtype=torch.float64)
    assert log_odds(far)[0].tolist() == [800.0, -800.0, -900.0]
    assert log_odds(far)[1, 0] == pytest.approx(850 - 0.6931471805599453)
