"""Statistics of learning curves.

R label counts, S seeds. Errors are fractions; half-widths are in the unit of the mean.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_runner.analysis.stats.intervals import Floats, mean_and_half
from al_runner.analysis.table.names import all_truth, curve_names
from al_runner.analysis.table.rows import BASELINE
from al_runner.errors import UsageError

RESAMPLINGS = 2000


@dataclass(frozen=True)
class Curve:
    """One strategy over its seeds, at the label counts that all of them have."""

    name: str
    truth: bool  # trained once on everything: a line, not a curve
    labelled: NDArray[np.int64]  # [R], ascending
    centre: Floats  # [R], mean or median
    low: Floats  # [R], the interval; NaN where there is none
    high: Floats
    each: Floats  # [R, S]

    @property
    def seeds(self) -> int:
        return len(self.each.T)

    def flipped(self) -> "Curve":
        """Accuracy for error, or error for accuracy."""
        return replace(self, centre=1 - self.centre, low=1 - self.high, high=1 - self.low, each=1 - self.each)


@dataclass(frozen=True)
class Spread:
    """What is drawn of S seeds: their `centre` (mean or median) and an `interval` of 95% around it.

    `t` is Student's interval of the mean, `bootstrap` the percentiles of 2,000 resamplings of the seeds (Efron, 1979),
    which is too narrow for few seeds; `seeds` is none, for figures that show every seed. With `log`, a t interval is
    that of the logarithm of the mean, whose standard error is the mean's divided by the mean (delta method): its ends
    are positive, and equally far on a logarithmic axis. UsageError for a t interval of the median, of which there is
    none.
    """

    centre: str = "mean"
    interval: str = "t"
    log: bool = False

    def __post_init__(self) -> None:
        if self.centre == "median" and self.interval == "t":
            raise UsageError("a t interval is one of the mean; with --median choose --interval bootstrap or seeds")

    def of(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Centre and both ends of the interval, [R, S] -> 3 times [R]; the ends are NaN for one seed."""
        middle = np.median if self.centre == "median" else np.mean
        centre = middle(values, axis=-1)
        seeds = values.shape[-1]
        if self.interval == "t":
            _, half = mean_and_half(values)
            if self.log:
                factor = np.exp(half / np.where(centre > 0, centre, np.nan))
                return centre, centre / factor, centre * factor
            return centre, centre - half, centre + half
        if self.interval == "seeds" or seeds < 2:
            return centre, np.full_like(centre, np.nan), np.full_like(centre, np.nan)
        drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLINGS, seeds))
        ends = [np.percentile(middle(row[drawn], axis=-1), (2.5, 97.5)) for row in values]  # a row at a time: memory
        low, high = np.array(ends).reshape(-1, 2).T
        return centre, low, high


def by_seed(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """One strategy's `column` by label count and seed, [R, S], at the counts that every seed has.

    Elsewhere the mean would jump as seeds come and go.
    """
    return runs.pivot(index="labelled", columns="seed", values=column).dropna()


def split_by_curve(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """One combination's rows by curve: the baseline first, `full` last, others by name."""
    parts = {str(name): part for name, part in runs.groupby(curve_names(runs), sort=True)}
    truth = {name: all_truth(part) for name, part in parts.items()}
    return {name: parts[name] for name in sorted(parts, key=lambda name: (truth[name], name != BASELINE, name))}


def curves(runs: pd.DataFrame, column: str = "test_error", spread: Spread | None = None) -> list[Curve]:
    """Every curve of one combination, in drawing order; one whose seeds share no label count is left out."""
    parts = split_by_curve(runs)
    found = [(name, by_seed(part, column), all_truth(part)) for name, part in parts.items()]
    return [_curve(name, values, truth, spread) for name, values, truth in found if not values.empty]


def difference_curves(
    runs: pd.DataFrame, baseline: str = BASELINE, column: str = "test_error", spread: Spread | None = None
) -> list[Curve]:
    """Every curve minus the baseline's, paired by seed, at the label counts that all pairs have.

    The interval is that of the seeds' differences. Curves that share no seed or no count with it are left out.
    """
    parts = {name: part for name, part in split_by_curve(runs).items() if not all_truth(part)}
    if baseline not in parts:
        return []
    found = {name: paired(part, parts[baseline], column) for name, part in parts.items() if name != baseline}
    return [_curve(name, values, False, spread) for name, values in found.items() if values.size]


def paired(runs: pd.DataFrame, other: pd.DataFrame, column: str) -> pd.DataFrame:
    """`runs` minus `other` by label count and shared seed, [R, S]."""
    shared = sorted(set(runs["seed"]) & set(other["seed"]))
    left, right = (by_seed(part[part["seed"].isin(shared)], column) for part in (runs, other))
    counts = left.index.intersection(right.index).sort_values()
    return left.loc[counts, shared] - right.loc[counts, shared]


def _curve(name: str, values: pd.DataFrame, truth: bool, spread: Spread | None) -> Curve:
    each = values.to_numpy(dtype=np.float64)
    return Curve(name, truth, values.index.to_numpy(dtype=np.int64), *(spread or Spread()).of(each), each)
