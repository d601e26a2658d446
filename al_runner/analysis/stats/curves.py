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
    """One strategy over its seeds, at the label counts that all of its seeds have."""

    name: str
    truth: bool  # ground truth, trained once on all labels: a line in a figure, not a curve
    labelled: NDArray[np.int64]  # [R], ascending
    centre: Floats  # [R], mean or median
    low: Floats  # [R], lower end of the interval; NaN if there is none
    high: Floats  # [R], upper end
    each: Floats  # [R, S], the values of the seeds

    @property
    def seeds(self) -> int:
        return len(self.each.T)

    def flipped(self) -> "Curve":
        """The same curve with accuracy in place of error, or error in place of accuracy."""
        return replace(self, centre=1 - self.centre, low=1 - self.high, high=1 - self.low, each=1 - self.each)


@dataclass(frozen=True)
class Spread:
    """How S seeds are summed up: by a `centre` (mean or median) and an `interval` of 95% around it.

    `t` is Student's interval of the mean. `bootstrap` is the percentiles of 2,000 resamplings of the seeds (Efron,
    1979), which is too narrow for few seeds. `seeds` is no interval, for figures that show every seed. With `log`, a t
    interval is that of the logarithm of the mean; its standard error is that of the mean divided by the mean (delta
    method). Its ends are then positive, and equally far from the centre on a logarithmic axis. Raises UsageError for a
    t interval of the median, because there is none.
    """

    centre: str = "mean"
    interval: str = "t"
    log: bool = False

    def __post_init__(self) -> None:
        if self.centre == "median" and self.interval == "t":
            raise UsageError("a t interval is for the mean; with --median choose --interval bootstrap or seeds")

    def of(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Centre and both ends of the interval, [R, S] -> 3 times [R]; the ends are NaN if S = 1."""
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

    At other counts some seeds are missing, so the mean would jump.
    """
    return runs.pivot(index="labelled", columns="seed", values=column).dropna()


def split_by_curve(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """One combination's rows by curve: random first, `full` last, the others sorted by name."""
    parts = {str(name): part for name, part in runs.groupby(curve_names(runs), sort=True)}
    truth = {name: all_truth(part) for name, part in parts.items()}
    return {name: parts[name] for name in sorted(parts, key=lambda name: (truth[name], name != BASELINE, name))}


def curves(runs: pd.DataFrame, column: str = "test_error", spread: Spread | None = None) -> list[Curve]:
    """Every curve of one combination, in drawing order. A curve is left out if its seeds share no label count."""
    parts = split_by_curve(runs)
    tables = [(name, by_seed(part, column), all_truth(part)) for name, part in parts.items()]
    return [_curve(name, values, truth, spread) for name, values, truth in tables if not values.empty]


def difference_curves(
    runs: pd.DataFrame, baseline: str = BASELINE, column: str = "test_error", spread: Spread | None = None
) -> list[Curve]:
    """Every curve minus the baseline, paired by seed, at the label counts that all pairs have.

    The interval is that of the seeds' differences. Curves that share no seed or no label count with the baseline are
    left out; the list is empty if there is no baseline.
    """
    parts = {name: part for name, part in split_by_curve(runs).items() if not all_truth(part)}
    if baseline not in parts:
        return []
    gaps = {name: paired(part, parts[baseline], column) for name, part in parts.items() if name != baseline}
    return [_curve(name, values, False, spread) for name, values in gaps.items() if values.size]


def paired(runs: pd.DataFrame, other: pd.DataFrame, column: str) -> pd.DataFrame:
    """`runs` minus `other` by label count and shared seed, [R, S]."""
    shared = sorted(set(runs["seed"]) & set(other["seed"]))
    left, right = (by_seed(part[part["seed"].isin(shared)], column) for part in (runs, other))
    counts = left.index.intersection(right.index).sort_values()
    return left.loc[counts, shared] - right.loc[counts, shared]


def _curve(name: str, values: pd.DataFrame, truth: bool, spread: Spread | None) -> Curve:
    each = values.to_numpy(dtype=np.float64)
    return Curve(name, truth, values.index.to_numpy(dtype=np.int64), *(spread or Spread()).of(each), each)
