"""The measurements of every round.

N images, Y classes.
"""

from torch import Tensor
from torch.nn.functional import nll_loss

from al_runner.metrics import (
    balanced_accuracy,
    brier_score,
    calibration_error,
    confusion_matrix,
    log_odds,
    macro_f1,
    ranking,
)
from al_runner.types import DataSet, Fitted, TrainData, mean_log_probs


def measurements(data: DataSet, fitted: Fitted, given: TrainData, labelled: int) -> tuple[dict[str, float], Tensor]:
    """A round's row of rounds.csv, without what its record adds, and the confusion matrix of the test images, [Y, Y].

    `given` is what the fit was given, and `labelled` how many labels were bought. Errors are shares, the negative
    log-likelihood is in nats. The test images are predicted once.
    """
    test = prediction(fitted, data.images[data.test])
    test_error, test_nll = score(test, data.labels[data.test])
    more, confusion = other_metrics(test, data.labels[data.test])
    row = {
        "labelled": labelled,
        "test_error": test_error,
        "test_accuracy": 1 - test_error,
        "val_error": score(prediction(fitted, given.val_x), given.val_y)[0],
        "train_error": score(prediction(fitted, given.x), given.y)[0],
        "test_nll": test_nll,
        "steps": fitted.steps,
        "pool_images": len(data.train),
        "test_images": len(data.test),
    }
    return row | more, confusion


def prediction(fitted: Fitted, x: Tensor) -> Tensor:
    """Log of the mean probabilities over posterior samples, for images [N, ...] -> [N, Y]."""
    return mean_log_probs(fitted.log_probs(x))


def score(mean: Tensor, y: Tensor) -> tuple[float, float]:
    """Error rate and mean negative log-likelihood (nats) of a prediction [N, Y] for labels [N]."""
    return float((mean.argmax(1) != y).sum()) / len(y), float(nll_loss(mean.double(), y))


def other_metrics(mean: Tensor, y: Tensor) -> tuple[dict[str, float], Tensor]:
    """More measurements of a prediction [N, Y] for labels [N], and its confusion matrix, int64 [Y, Y] on the CPU."""
    log_probs, labels = mean.double().cpu(), y.cpu()
    probs, (auroc, precision) = log_probs.exp(), ranking(log_odds(log_probs), labels)
    confusion = confusion_matrix(mean.argmax(1).cpu(), labels, mean.shape[1])
    return {
        "test_balanced_accuracy": balanced_accuracy(confusion),
        "test_macro_f1": macro_f1(confusion),
        "test_brier": brier_score(probs, labels),
        "test_ece": calibration_error(probs, labels),
        "test_auroc": auroc,
        "test_average_precision": precision,
    }, confusion
