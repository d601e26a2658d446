"""What can be compared besides the test error, and the column of the tidy table from which each comes.

Everything is compared as a loss, so that less is always better: an accuracy A counts as the error 1 - A.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import pandas as pd

from al_runner.errors import UsageError

LOSS, BEST = "loss", "best_loss"  # the columns that `measured_by` adds


@dataclass(frozen=True)
class Metric:
    """One way to measure a round, with the words for it."""

    name: str  # as --metric takes it
    column: str  # of the tidy table
    words: str  # the loss, as in "final error"
    axis: str  # the loss, as the label of an axis
    accuracy: str = ""  # the label of an axis that shows 1 - loss; empty if that means nothing
    gained: bool = False  # the column holds 1 - loss
    share: bool = True  # a fraction, shown in percent

    @property
    def scale(self) -> float:
        """What a value is multiplied by to be shown."""
        return 100.0 if self.share else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that can be shown."""
        return (0.0, self.scale if self.share else inf)

    @property
    def unit(self) -> str:
        """The unit in brackets after the label of an axis, or ""."""
        return " (%)" if self.share else ""

    @property
    def points(self) -> str:
        """The unit of a difference, as a phrase."""
        return "in points" if self.share else "in its own unit"


ERROR = Metric("error", "test_error", "error", "test error", "test accuracy")
METRICS = {
    metric.name: metric
    for metric in (
        ERROR,
        Metric(
            "balanced_accuracy",
            "test_balanced_accuracy",
            "balanced error",
            "balanced test error",
            "balanced test accuracy",
            gained=True,
        ),
        Metric("macro_f1", "test_macro_f1", "1 - macro-F1", "1 - macro-F1", "macro-F1", gained=True),
        Metric("nll", "test_nll", "NLL", "test NLL (nats)", share=False),
        Metric("brier", "test_brier", "Brier score", "test Brier score", share=False),
        Metric("ece", "test_ece", "calibration error", "expected calibration error"),
        Metric("auroc", "test_auroc", "1 - AUROC", "1 - AUROC", "AUROC", gained=True),
        Metric(
            "average_precision",
            "test_average_precision",
            "1 - average precision",
            "1 - average precision",
            "average precision",
            gained=True,
        ),
    )
}
MEASURED = tuple(metric.column for metric in METRICS.values())


def measured_by(frame: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The tidy table with two more columns: LOSS, and BEST, the lowest loss so far in a run.

    Raises UsageError if a run does not have the metric.
    """
    values = frame[metric.column] if metric.column in frame else pd.Series(float("nan"), index=frame.index)
    without = list(map(str, frame.loc[values.isna(), "folder"].unique()))
    if without:
        raise UsageError(
            f"--metric {metric.name}: {_some(without)} did not record {metric.column}, as runs of older versions; "
            "leave out --metric, or move these runs away"
        )
    loss = 1 - values if metric.gained else values
    best = loss.loc[frame.sort_values("round", kind="stable").index].groupby(frame["folder"]).cummin()
    return frame.assign(**{LOSS: loss, BEST: best})


def stem_of(metric: Metric, what: str) -> str:
    """The beginning of a file's name: `what`, and the metric if it is not the test error."""
    return what if metric == ERROR else f"{what}_{metric.name}"


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
