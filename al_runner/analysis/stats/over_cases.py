"""What strategies come to over all cases: pairwise penalties and average ranks."""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.measures import Budget
from al_runner.analysis.stats.paired import ranks, share_beaten


def penalties(found: Sequence[Case]) -> pd.DataFrame:
    """The pairwise penalty matrix (Ash et al., 2020, section 4.2), row against column.

    An entry sums over the cases the fraction of label counts at which the row's curve beats the column's beyond
    chance (`share_beaten`); the last row is a column's mean, low for a curve that is seldom beaten. NaN where no case
    has two pairs of both.
    """
    names = _curves(found)
    matrix = pd.DataFrame(nan, index=names, columns=names)
    for case in found:
        curves = {name: _by_seed(part, case.budget) for name, part in case.parts.items() if len(part)}
        for left, right in _ordered_pairs(curves):
            share = share_beaten(curves[left], curves[right])
            if not isnan(share):
                matrix.loc[left, right] = np.nansum([matrix.loc[left, right], share])
    return pd.concat([matrix, matrix.mean().to_frame("mean").T]).rename_axis("curve")


def _by_seed(runs: pd.DataFrame, budget: Budget) -> pd.DataFrame:
    within = runs[runs["labelled"].between(budget.start, budget.end)]
    return within.pivot(index="labelled", columns="seed", values="test_error").dropna()


def average_ranks(found: Sequence[Case]) -> pd.DataFrame:
    """Mean rank by final error over the cases, of the curves that are ranked in every ranked one (Demsar, 2006).

    Columns: curve, rank, cases, critical_difference, friedman_p. Empty for fewer than two such cases or curves.
    """
    held = [case.ranked for case in found if len(case.ranked)]
    names = sorted(set.intersection(*(set(means.index) for means in held))) if held else []
    columns = ["curve", "rank", "cases", "critical_difference", "friedman_p"]
    if len(held) < 2 or len(names) < 2:
        return pd.DataFrame(columns=columns)
    found_ranks = ranks(np.array([[means[name] for name in names] for means in held]))
    rows = [
        (name, rank, len(held), found_ranks.critical, found_ranks.friedman_p)
        for name, rank in zip(names, found_ranks.mean, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns).sort_values(["rank", "curve"], ignore_index=True)


def _curves(found: Sequence[Case]) -> list[str]:
    names = dict.fromkeys(name for case in found for name in case.parts)
    return sorted(names, key=lambda name: (name != found[0].baseline, name))


def _ordered_pairs(names: Any) -> Iterator[tuple[str, str]]:
    return ((left, right) for left in names for right in names if left != right)
