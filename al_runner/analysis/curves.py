"""Statistics of learning curves.

R label counts, S seeds. Errors are fractions; half-widths are in the unit of the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from al_runner.analysis.runs import curve_names

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the half-width of its 95% interval, NaN for a single value."""

    mean: float
    half: float


@dataclass(frozen=True)
class Curve:
    """One strategy's mean over its seeds, at the label counts that all of them have."""

    name: str
    truth: bool  # trained once on everything: a line, not a curve
    seeds: int
    labelled: NDArray[np.int64]  # [R], ascending
    mean: Floats  # [R]
    half: Floats  # [R], NaN for one seed


def mean_and_half(values: Floats) -> tuple[Floats, Floats]:
    """Mean over the last axis and the half-width of its 95% interval, [..., S] -> [...], [...].

    Student's t interval for a normal mean of unknown variance, t(0.975, S - 1) s / sqrt(S) with the unbiased
    variance (Student, 1908); the half-width is NaN for S = 1.
    """
    count = values.shape[-1]
    mean = values.mean(-1)
    if count < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, stats.t.ppf(0.975, count - 1) * values.std(-1, ddof=1) / np.sqrt(count)


def interval(values: Any) -> Interval:
    """`mean_and_half` of S numbers; NaN for none."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return Interval(float("nan"), float("nan"))
    mean, half = mean_and_half(array)
    return Interval(float(mean), float(half))


def by_seed(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """One strategy's `column` by label count and seed, [R, S], at the counts that every seed has.

    Elsewhere the mean would jump as seeds come and go.
    """
    return runs.pivot(index="labelled", columns="seed", values=column).dropna()


def split_by_curve(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """One combination's rows by curve: `random` first as the baseline, `full` last, others by name."""
    parts = {str(name): part for name, part in runs.groupby(curve_names(runs), sort=True)}
    truth = {name: bool((part["strategy"] == "full").all()) for name, part in parts.items()}
    return {name: parts[name] for name in sorted(parts, key=lambda name: (truth[name], name != "random", name))}


def curves(runs: pd.DataFrame, column: str = "test_error") -> list[Curve]:
    """Every curve of one combination, in drawing order; one whose seeds share no label count is left out."""
    found = []
    for name, part in split_by_curve(runs).items():
        values = by_seed(part, column)
        if values.empty:
            continue
        mean, half = mean_and_half(values.to_numpy(dtype=np.float64))
        truth = bool((part["strategy"] == "full").all())
        labelled = values.index.to_numpy(dtype=np.int64)
        found.append(Curve(name, truth, values.shape[1], labelled, mean, half))
    return found


def paired_difference(runs: pd.DataFrame, other: pd.DataFrame, column: str = "test_error") -> tuple[Interval, Interval]:
    """`runs` minus `other`, paired by seed: at the last label count that all pairs share, and averaged over all such.

    The interval is that of the S differences, so what a seed does to both cancels; NaN for fewer than two shared
    seeds or no shared count.
    """
    shared = sorted(set(runs["seed"]) & set(other["seed"]))
    left, right = (by_seed(part[part["seed"].isin(shared)], column) for part in (runs, other))
    counts = left.index.intersection(right.index).sort_values()
    if len(shared) < 2 or len(counts) == 0:
        return interval([]), interval([])
    difference = left.loc[counts, shared] - right.loc[counts, shared]
    return interval(difference.iloc[-1]), interval(difference.mean(axis=0))


def automatic_split(drawn: Sequence[Curve], fallen: float = 0.95) -> int | None:
    """Label count at which the finally best curve has fallen `fallen` of its way; None for under six rounds.

    At least three of its rounds stay on either side, the split counting for both.
    """
    if not drawn:
        return None
    best = min(drawn, key=lambda curve: (curve.mean[-1], curve.name))
    rounds = len(best.mean)
    if rounds < 6:
        return None
    target = best.mean.min() + (1 - fallen) * (best.mean[0] - best.mean.min())
    first = int(np.argmax(best.mean <= target))
    return int(best.labelled[min(max(first, 2), rounds - 3)])
