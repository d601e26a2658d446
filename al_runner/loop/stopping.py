"""Rules that end a run before its budget is spent. None of them sees a test label.

N images, Y classes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import log, nan
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import Count, Means, ShareOrAll
from al_runner.settings.place import place_of
from al_runner.types import DataSet, Fitted, Record, mean_log_probs

AGREEMENT, UNCERTAINTY = "stop_agreement", "stop_uncertainty"  # the rules' columns of rounds.csv
COLUMN = "stop_{}"  # of a rule: 1 in the rounds in which it says stop, otherwise 0


@options("stopping")
@dataclass(frozen=True)
class Stopping:
    """When a run ends; the fields are the keys of conf/stopping/*.yaml. Every rule is recorded, one may be obeyed."""

    obey: Annotated[
        Literal["stabilising", "low_uncertainty", "plateau"] | None,
        Means("the rule that ends the run; null: all rules are recorded only"),
    ] = None
    images: Annotated[
        Count, Means("size of the stop set: training images, drawn at random, whose predictions the rules look at")
    ] = 2000
    agreement: Annotated[
        Annotated[float, Ge(-1), Le(1)],
        Means("stabilising: Cohen's kappa between the predictions of successive rounds from which the run stops"),
    ] = 0.99
    window: Annotated[Count, Means("stabilising: newest rounds over which kappa is averaged")] = 3
    uncertainty: Annotated[
        ShareOrAll,
        Means(
            "low_uncertainty: mean entropy of unlabelled images, 1 if all predictions are uniform, below which to stop"
        ),
    ] = 0.05
    patience: Annotated[
        Count, Means("plateau: rounds without a new minimum of the validation error after which the run stops")
    ] = 10

    def said(self, kappas: Sequence[float], uncertainty: float, errors: Sequence[float]) -> dict[str, float]:
        """Which rules say stop, 1 or 0 by their columns.

        `kappas` and the validation `errors` are those of every round so far. A value that is NaN says nothing.
        """
        newest = kappas[-self.window :]
        best = errors.index(min(errors))
        rules = {
            "stabilising": len(newest) == self.window and sum(newest) / self.window >= self.agreement,
            "low_uncertainty": uncertainty < self.uncertainty,
            "plateau": len(errors) - 1 - best >= self.patience,
        }
        return {COLUMN.format(rule): float(stop) for rule, stop in rules.items()}

    def ended(self, record: Record) -> int | None:
        """The first recorded round in which the obeyed rule says stop, or None."""
        flags = record.column(COLUMN.format(self.obey)) if self.obey else []
        return flags.index(1.0) if 1.0 in flags else None


@contextmanager
def called(stopping: Stopping, method: str) -> Iterator[None]:
    """A block that calls a method of stopping rules.

    Raises UsageError, with the file and line, if the user's own code fails in it.
    """
    try:
        yield
    except Exception as error:
        place, text = place_of(error), " ".join(str(error).split())
        if not place:
            raise
        raise UsageError(
            f"{type(stopping).__name__}.{method} raised {type(error).__name__}: {text}{place}; mend it and "
            "give the same command again (every recorded round is kept)"
        ) from error


def round_of_end(stopping: Stopping | None, record: Record) -> int | None:
    """The recorded round that ends the run, None if there is none.

    Raises UsageError if `ended` fails in the user's own code, or gives no round.
    """
    if stopping is None:
        return None
    with called(stopping, "ended"):
        ended: object = stopping.ended(record)
    if ended is None or type(ended) is int:
        return ended
    raise UsageError(
        f"{type(stopping).__name__}.ended gives {ended!r}; it must give the recorded round that ends the run, counted "
        "from 0, or None"
    )


class Watch:
    """Compares the predictions of successive fits for the stop set, which is the same in all runs of a seed."""

    def __init__(self, stopping: Stopping, data: DataSet, seed: int):
        self._stopping, self._data = stopping, data
        order = torch.randperm(len(data.train), generator=stream(seed, "stop set"))
        self.ids = data.train[order[: stopping.images].to(data.train.device)]

    def row(self, before: Fitted | None, fitted: Fitted, pool: Pool, error: float, record: Record) -> dict[str, float]:
        """The columns of a round that is measured now; `before` is the fit of the round before, `error` on validation.

        The agreement is NaN in the first round, and the uncertainty if every image of the stop set has a label.
        """
        now = self._log_probs(fitted)
        kappa = nan if before is None else agreement(self._log_probs(before).argmax(1), now.argmax(1), now.shape[1])
        unlabelled = torch.isin(self.ids, pool.unlabelled)
        unsure = uncertainty(now[unlabelled]) if bool(unlabelled.any()) else nan
        errors = [*record.column("val_error"), error]
        with called(self._stopping, "said"):
            said = self._stopping.said([*record.column(AGREEMENT), kappa], unsure, errors)
        return {AGREEMENT: kappa, UNCERTAINTY: unsure, **said}

    def _log_probs(self, fitted: Fitted) -> Tensor:
        return mean_log_probs(fitted.log_probs(self._data.images[self.ids]))


def agreement(left: Tensor, right: Tensor, classes: int) -> float:
    """Cohen's kappa of two predictions, in [-1, 1], two [N] -> 1 (Cohen, 1960, eq. 1).

    It is the share of equal predictions, corrected for the share that chance would give. 1 if both predict one class.
    """
    observed = float((left == right).double().mean())
    shares = [torch.bincount(side, minlength=classes).double() / len(side) for side in (left, right)]
    chance = float((shares[0] * shares[1]).sum())
    return 1.0 if chance == 1 else (observed - chance) / (1 - chance)


def uncertainty(log_probs: Tensor) -> float:
    """Mean entropy divided by that of a uniform prediction, in [0, 1], [N, Y] -> 1 (Zhu et al., 2008, section 3.2)."""
    entropies = torch.special.entr(log_probs.double().exp()).sum(1)
    return float(entropies.mean()) / log(log_probs.shape[1])
