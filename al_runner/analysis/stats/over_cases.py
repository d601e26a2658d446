"""Strategies compared over all cases: pairwise penalties and average ranks."""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.curves import by_seed
from al_runner.analysis.stats.paired import ranks, share_beaten
from al_runner.analysis.table.metrics import LOSS

RANKS = ["curve", "rank", "cases", "critical_difference", "friedman_p"]


def penalties(case_list: Sequence[Case]) -> pd.DataFrame:
    """The pairwise penalty matrix (Ash et al., 2020, section 4.2), row against column.

    An entry is the fraction of label counts at which the row's curve beats the column's beyond chance
    (`share_beaten`), summed over the cases. The last row is each column's mean, which is low for a curve that is seldom
    beaten. An entry is NaN if no case has two seeds that both curves share.
    """
    names = _curves(case_list)
    matrix = pd.DataFrame(nan, index=names, columns=names)
    for case in case_list:
        parts, budget = {name: case.parts[name] for name in case.strategies}, case.budget
        within = {name: part[part["labelled"].between(budget.start, budget.end)] for name, part in parts.items()}
        curves = {name: by_seed(part, LOSS) for name, part in within.items() if len(part)}
        for left, right in _ordered_pairs(curves):
            share = share_beaten(curves[left], curves[right])
            if not isnan(share):
                matrix.loc[left, right] = np.nansum([matrix.loc[left, right], share])
    return pd.concat([matrix, matrix.mean().to_frame("mean").T]).rename_axis("curve")


def average_ranks(case_list: Sequence[Case]) -> pd.DataFrame:
    """Mean rank by final error over the ranked cases, for the curves that are ranked in all of them (Demsar, 2006).

    Columns: curve, rank, cases, critical_difference, friedman_p. Empty with fewer than two such cases or curves.
    """
    ranked = [case.ranked for case in case_list if len(case.ranked)]
    names = sorted(set.intersection(*(set(means.index) for means in ranked))) if ranked else []
    if len(ranked) < 2 or len(names) < 2:
        return pd.DataFrame(columns=RANKS)
    return _averaged(names, np.array([[means[name] for name in names] for means in ranked]))


def ranks_over_seeds(case: Case) -> pd.DataFrame:
    """As `average_ranks`, but of one case: ranks by the final error of each seed that all ranked curves share.

    The column `cases` is the number of these seeds. Empty if the case is not ranked.
    """
    names = sorted(case.ranked.index)
    if not names:
        return pd.DataFrame(columns=RANKS)
    errors = pd.DataFrame({name: case.values(name, "final") for name in names}).dropna()
    return _averaged(names, errors.to_numpy(dtype=np.float64))


def _averaged(names: Sequence[str], errors: NDArray[np.float64]) -> pd.DataFrame:
    """The table of RANKS for errors [N, K] of K curves."""
    average = ranks(errors)
    rows = [
        (name, rank, len(errors), average.critical, average.friedman_p)
        for name, rank in zip(names, average.mean, strict=True)
    ]
    return pd.DataFrame(rows, columns=RANKS).sort_values(["rank", "curve"], ignore_index=True)


def _curves(case_list: Sequence[Case]) -> list[str]:
    names = dict.fromkeys(name for case in case_list for name in case.strategies)
    return sorted(names, key=lambda name: (name != case_list[0].baseline, name))


def _ordered_pairs(names: Any) -> Iterator[tuple[str, str]]:
    return ((left, right) for left in names for right in names if left != right)
