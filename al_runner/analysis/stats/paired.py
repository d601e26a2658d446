"""Statistics of paired samples: S differences, one a seed, between two strategies.

A seed fixes the split, the initial set and the first weights, so what it does to both cancels in its difference.
"""

from math import inf, nan, sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from al_runner.analysis.stats.intervals import Floats, interval, mean_and_half

LEVEL = 0.05  # of every test
POWER = 0.8  # that `seeds_needed` asks for
LEAST_PAIRS = 3  # below which nothing is ranked: a variance of two values is hardly one
DIGITS = 12  # decimals of a difference of two rates; those beyond come from rounding, and would tell ties apart


def rounded(values: ArrayLike) -> Floats:
    """Without the rounding errors of a subtraction: .4 - .3 and .5 - .4 are then the same number, and zeros are 0."""
    return np.asarray(np.round(np.asarray(values, dtype=np.float64), DIGITS) + 0.0, dtype=np.float64)


class Test(NamedTuple):
    """A paired comparison; `half` is the 95% half-width of the mean difference, p values are two-sided."""

    pairs: int
    mean: float
    half: float
    t_p: float
    wilcoxon_p: float
    seeds_needed: float  # see `seeds_needed`; inf for no difference, NaN where there is no variance to judge by


def paired_test(differences: ArrayLike) -> Test:
    """Student's paired t test (1908) and Wilcoxon's signed-rank test (1945) of S differences.

    Wilcoxon's is exact for small S, ties included, and leaves zeros out. Equal samples have p = 1; differences that
    are all the same but not zero have no variance, and a NaN for Student's p. Both are NaN for S < 2.
    """
    values = rounded(differences)
    mean, half = interval(values)
    if len(values) < 2:
        return Test(len(values), mean, half, nan, nan, nan)
    if not values.any():
        return Test(len(values), 0.0, 0.0, 1.0, 1.0, inf)
    varied = float(np.ptp(values)) > 0
    t_p = float(stats.ttest_1samp(values, 0.0).pvalue) if varied else nan
    needed = seeds_needed(mean, float(values.std(ddof=1))) if varied else nan
    return Test(len(values), mean, half, t_p, float(stats.wilcoxon(values).pvalue), needed)


def seeds_needed(mean: float, deviation: float) -> float:
    """Pairs with which a two-sided paired t test at 5% sees a true difference of `mean` with 80% probability.

    `deviation` is the standard deviation of the differences. The power comes from the non-central t distribution
    (Cohen, 1988, section 2.3); at least 2, inf where `mean` is 0.
    """
    if mean == 0:
        return inf
    effect = abs(mean) / deviation

    def enough(count: int) -> bool:
        edge, shift = special.stdtrit(count - 1, 1 - LEVEL / 2), effect * sqrt(count)
        wrong_side = np.nan_to_num(special.nctdtr(count - 1, shift, -edge))  # NaN where it is too small for scipy
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
    """P values corrected for their number (Holm, 1979), NaN where NaN, which do not count."""
    values = np.asarray(p, dtype=np.float64)
    corrected = np.full_like(values, nan)
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]  # NaN comes last
    raised = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return corrected


def share_beaten(left: pd.DataFrame, right: pd.DataFrame) -> float:
    """Fraction of label counts at which `left` has less error than `right` beyond chance; NaN for under two pairs.

    Both are [R, S] by label count and seed; only what both have is compared, by a two-sided paired t test at 5%
    at every count, where the same difference in every seed counts as beyond chance. This is one entry of the penalty
    matrix (Ash et al., 2020, section 4.2).
    """
    seeds = left.columns.intersection(right.columns)
    counts = left.index.intersection(right.index)
    if len(seeds) < 2 or len(counts) == 0:
        return nan
    differences = rounded(left.loc[counts, seeds] - right.loc[counts, seeds])
    mean, half = mean_and_half(differences)  # the 95% interval leaves out 0 where p < 5%
    same = np.ptp(differences, axis=1) == 0
    return float(((mean < 0) & (same | (mean + half < 0))).sum()) / len(counts)


class Ranks(NamedTuple):
    """Mean ranks of K strategies over N data sets, 1 the best."""

    mean: Floats  # [K]
    friedman_p: float  # that all are alike; NaN for K < 3 or N < 2
    critical: float  # least difference of mean ranks that is beyond chance at 5%; NaN for N < 2


def ranks(errors: NDArray[np.float64]) -> Ranks:
    """Average ranks, Friedman's test and Nemenyi's critical difference, errors [N, K] -> K ranks (Demsar, 2006).

    Ties share their mean rank. CD = q sqrt(K (K + 1) / (6 N)), q the studentized range at 5% over sqrt(2).
    """
    sets, many = errors.shape
    values = rounded(errors)
    mean = stats.rankdata(values, axis=1).mean(axis=0)
    if sets < 2 or many < 2:
        return Ranks(mean, nan, nan)
    q = stats.studentized_range.ppf(1 - LEVEL, many, inf) / sqrt(2)
    critical = float(q * sqrt(many * (many + 1) / (6 * sets)))
    friedman = float(stats.friedmanchisquare(*values.T).pvalue) if many > 2 else nan
    return Ranks(mean, friedman, critical)
