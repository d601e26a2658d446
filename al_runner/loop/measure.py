"""The measurements of every round.

N images, Y classes.
"""

from torch import Tensor
from torch.nn.functional import nll_loss

from al_runner.pool import Pool
from al_runner.types import DataSet, Fitted, mean_log_probs


def measurements(data: DataSet, fitted: Fitted, pool: Pool) -> dict[str, float]:
    """A round's row of rounds.csv, without what its record adds: errors as shares, negative log-likelihood in nats."""
    test_error, test_nll = score(fitted, data.images[data.test], data.labels[data.test])
    return {
        "labelled": pool.asked,  # an answer without a label costs the same as a label
        "test_error": test_error,
        "test_accuracy": 1 - test_error,
        "val_error": score(fitted, *data.validation)[0],
        "train_error": score(fitted, pool.x(pool.labelled), pool.y(pool.labelled))[0],
        "test_nll": test_nll,
        "steps": fitted.steps,
        "pool_images": len(data.train),
        "test_images": len(data.test),
    }


def score(fitted: Fitted, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Error rate and mean negative log-likelihood (nats) of the mean prediction for images [N, ...] and labels [N]."""
    mean = mean_log_probs(fitted.log_probs(x))
    return float((mean.argmax(1) != y).sum()) / len(y), float(nll_loss(mean.double(), y))
