"""Published numbers of papers, to compare with those of runs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from al_runner.errors import UsageError

FILE = Path(__file__).with_name("published.csv")
AS_ERROR = {  # how a metric at a label count becomes a test error as a fraction
    "test_error_pct": lambda value: value / 100,
    "test_accuracy": lambda value: 1 - value,
    "test_accuracy_pct": lambda value: 1 - value / 100,
}


def published(paper: str) -> pd.DataFrame:
    """The numbers of `paper` (such as gal2017), one in a row; strategies have the names of conf/strategy.

    Columns: item (table or figure), dataset, model, strategy, metric, labelled, value, std, runs, and source: P is
    printed in the paper, L was read off its figures or its authors' logs.
    """
    frame = pd.read_csv(FILE)
    return frame[frame["paper"] == paper].drop(columns="paper").reset_index(drop=True)


def matching(
    dataset: str, strategies: Sequence[str], papers: Sequence[str] = (), span: tuple[int, int] = (0, 2**62)
) -> pd.DataFrame:
    """Published test errors of these strategies on a data set, within a span of label counts (both ends included).

    Columns: paper, strategy, labelled, test_error (a fraction). `papers` selects papers; without it, all count. Raises
    UsageError if one of `papers` has no such error.
    """
    known = pd.read_csv(FILE)
    errors = known[(known["dataset"] == dataset) & known["metric"].isin(AS_ERROR) & known["labelled"].between(*span)]
    errors_here = errors[errors["strategy"].isin(list(strategies))]
    absent = [paper for paper in papers if strategies and paper not in set(errors_here["paper"])]
    if absent:
        have = ", ".join(sorted(set(errors["paper"]))) or "no paper"
        raise UsageError(
            f"{absent[0]} has no published curve of these strategies on {dataset}; {have} has one on {dataset}"
        )
    kept = errors_here[errors_here["paper"].isin(list(papers))] if papers else errors_here
    values = [AS_ERROR[metric](value) for metric, value in zip(kept["metric"], kept["value"], strict=True)]
    return kept.assign(test_error=values)[["paper", "strategy", "labelled", "test_error"]].reset_index(drop=True)
