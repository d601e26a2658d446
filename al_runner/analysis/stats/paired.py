"""Statistics of paired samples: S differences between two strategies, one for each seed.

A seed fixes the initial set and the first weights of both strategies. Its effect on both cancels in the difference.
"""

from collections.abc import Iterable
from math import inf, isnan, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from al_runner.analysis.stats.intervals import Floats, interval, mean_and_half

LEVEL = 0.05  # of every test
POWER = 0.8  # of the test that `seeds_needed` plans
LEAST_PAIRS = 3  # a ranking needs this many pairs: a variance of two values says very little
FLIPPED = 13  # the most differences with ties whose signed ranks have an exact p, as in scipy
DIGITS = 12  # decimals of a difference of two rates; later ones come from rounding and would break ties


def rounded(values: ArrayLike) -> Floats:
    """Values without the rounding errors of a subtraction: .4 - .3 and .5 - .4 become equal, and -0 becomes 0."""
    return np.asarray(np.round(np.asarray(values, dtype=np.float64), DIGITS) + 0.0, dtype=np.float64)


class Test(NamedTuple):
    """A paired comparison. `half` is the 95% half-width of the mean difference; p values are two-sided."""

    pairs: int
    mean: float
    half: float
    t_p: float
    wilcoxon_p: float
    seeds_needed: float  # see `seeds_needed`; inf if there is no difference, NaN if the variance is 0 or unknown


def paired_test(differences: ArrayLike) -> Test:
    """Student's paired t test (1908) and Wilcoxon's signed-rank test (1945) of S differences.

    Wilcoxon's is exact for small S, also with ties, and leaves zeros out. Equal samples have p = 1. If all differences
    are the same but not zero, their variance is 0 and Student's p is NaN. Both p are NaN if S < 2.
    """
    return each_paired_test([differences])[0]


def each_paired_test(samples: Iterable[ArrayLike]) -> list[Test]:
    """`paired_test` of every sample. Most samples of one size share a call of scipy, which is far faster."""
    values = [rounded(sample) for sample in samples]
    together: dict[Any, list[int]] = {}
    for place, sample in enumerate(values):
        if len(sample) > 1 and sample.any():
            alike = len(sample) if _without_ties(sample) else ("alone", place)
            together.setdefault(alike, []).append(place)
    t_p, wilcoxon_p = np.full((2, len(values)), nan)
    for places in together.values():
        stack = np.stack([values[place] for place in places])
        wilcoxon_p[places] = _signed_ranks_p(stack)
        if np.ptp(stack, axis=1).all():
            t_p[places] = stats.ttest_1samp(stack, 0.0, axis=1).pvalue
    return [_test(*row) for row in zip(values, t_p.tolist(), wilcoxon_p.tolist(), strict=True)]


def _without_ties(sample: Floats) -> bool:
    """Whether no two differences have one size, and none is zero."""
    sizes = np.unique(np.abs(sample))
    return bool(len(sizes) == len(sample) and sizes[0] > 0)


def _signed_ranks_p(samples: Floats) -> Floats:
    """P values of Wilcoxon's signed-rank test, [K, S] -> [K]; a sample with ties or zeros comes alone, K = 1.

    Up to FLIPPED differences with ties, every flip of their signs is tried, as scipy's own test does. It ranks them
    again for each flip, though no rank changes, which takes about 25 times as long.
    """
    if _without_ties(samples[0]) or samples.shape[1] > FLIPPED:
        return np.asarray(stats.wilcoxon(samples, axis=1).pvalue, dtype=np.float64)
    (sample,) = samples
    ranks = np.zeros(len(sample))
    ranks[sample != 0] = stats.rankdata(np.abs(sample[sample != 0]))
    ranks = np.copysign(ranks, sample)
    p = stats.permutation_test((ranks,), np.sum, permutation_type="samples", n_resamples=2**FLIPPED).pvalue
    return np.array([p], dtype=np.float64)


def _test(values: Floats, t_p: float, wilcoxon_p: float) -> Test:
    """The test of one sample from its p values; `t_p` is NaN if the variance is 0 or unknown."""
    mean, half = interval(values)
    if len(values) > 1 and not values.any():
        return Test(len(values), 0.0, 0.0, 1.0, 1.0, inf)
    needed = nan if isnan(t_p) else seeds_needed(mean, float(values.std(ddof=1)))
    return Test(len(values), mean, half, t_p, wilcoxon_p, needed)


def seeds_needed(mean: float, deviation: float, level: float = LEVEL) -> float:
    """How many pairs a two-sided paired t test at `level` needs to see a true difference `mean` with 80% probability.

    `deviation` is the standard deviation of the differences, above 0. The power comes from the non-central t
    distribution (Cohen, 1988, section 2.3). At least 2; inf if `mean` is 0, or if 2^20 pairs are not enough.
    """
    if mean == 0:
        return inf
    effect = abs(mean) / deviation

    def enough(count: int) -> bool:
        edge, shift = special.stdtrit(count - 1, 1 - level / 2), effect * sqrt(count)
        wrong_side = special.nctdtr(count - 1, shift, -edge)
        wrong_side = 0.0 if isnan(wrong_side) else wrong_side  # NaN if it is too small for scipy
        return bool(1 - special.nctdtr(count - 1, shift, edge) + wrong_side >= POWER)

    high = 2
    while not enough(high):
        high *= 2
        if high > 2**20:
            return inf
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(max(high, 2))


def holm(p: ArrayLike) -> Floats:
    """P values corrected for their number (Holm, 1979). NaN stays NaN and does not count."""
    values = np.asarray(p, dtype=np.float64)
    corrected = np.full_like(values, nan)
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]  # NaN comes last
    raised = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return corrected


def share_beaten(left: pd.DataFrame, right: pd.DataFrame) -> float:
    """Fraction of label counts at which `left` has less error than `right` beyond chance.

    Both are [R, S] by label count and seed; only shared counts and seeds are compared. Each count has a two-sided
    paired t test at 5%; the same difference in every seed also counts as beyond chance. NaN if there are fewer than two
    pairs or no shared count. This is one entry of the penalty matrix (Ash et al., 2020, section 4.2).
    """
    seeds = left.columns.intersection(right.columns)
    counts = left.index.intersection(right.index)
    if len(seeds) < 2 or len(counts) == 0:
        return nan
    differences = rounded(_part(left, counts, seeds) - _part(right, counts, seeds))
    mean, half = mean_and_half(differences)  # p < 5% if the 95% interval does not contain 0
    same = np.ptp(differences, axis=1) == 0
    return float(((mean < 0) & (same | (mean + half < 0))).sum()) / len(counts)


def _part(table: pd.DataFrame, counts: "pd.Index[Any]", seeds: "pd.Index[Any]") -> Floats:
    """The values of a table at these counts and seeds."""
    whole = table.index.equals(counts) and table.columns.equals(seeds)
    return (table if whole else table.loc[counts, seeds]).to_numpy(dtype=np.float64)


class Ranks(NamedTuple):
    """Mean ranks of K strategies over N data sets; rank 1 is the best."""

    mean: Floats  # [K]
    friedman_p: float  # of the hypothesis that all strategies are alike; NaN if K < 3 or N < 2, or if they are equal
    critical: float  # smallest difference of mean ranks that is beyond chance at 5%; NaN if K < 2 or N < 2


def ranks(errors: NDArray[np.float64]) -> Ranks:
    """Average ranks, Friedman's test and Nemenyi's critical difference, errors [N, K] -> K ranks (Demsar, 2006).

    Ties share their mean rank. CD = q sqrt(K (K + 1) / (6 N)); q is the studentized range at 5% divided by sqrt(2).
    """
    sets, strategies = errors.shape
    values = rounded(errors)
    mean = stats.rankdata(values, axis=1).mean(axis=0)
    if sets < 2 or strategies < 2:
        return Ranks(mean, nan, nan)
    q = stats.studentized_range.ppf(1 - LEVEL, strategies, inf) / sqrt(2)
    critical = float(q * sqrt(strategies * (strategies + 1) / (6 * sets)))
    varied = strategies > 2 and bool(np.ptp(values, axis=1).any())
    friedman = float(stats.friedmanchisquare(*values.T).pvalue) if varied else nan
    return Ranks(mean, friedman, critical)
