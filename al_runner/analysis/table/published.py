"""Numbers that papers print, to stand beside those of runs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from al_runner.errors import UsageError

FILE = Path(__file__).with_name("published.csv")
AS_ERROR = {  # metrics that are a test error at a label count, as the fraction that they are
    "test_error_pct": lambda value: value / 100,
    "test_accuracy": lambda value: 1 - value,
    "test_accuracy_pct": lambda value: 1 - value / 100,
}


def published(paper: str) -> pd.DataFrame:
    """What `paper` (such as gal2017) printed, one row a number; strategies have the names of conf/strategy.

    Columns: item (table or figure), dataset, model, strategy, metric, labelled, value, std, runs, and source: P is
    printed in the paper, L was read off its figures or its authors' logs.
    """
    frame = pd.read_csv(FILE)
    return frame[frame["paper"] == paper].drop(columns="paper").reset_index(drop=True)


def matching(
    dataset: str, strategies: Sequence[str], papers: Sequence[str] = (), span: tuple[int, int] = (0, 2**62)
) -> pd.DataFrame:
    """Published test errors of these strategies on a data set, within a span of label counts.

    Columns paper, strategy, labelled, test_error (a fraction). UsageError where `papers` names one that has nothing
    of the kind.
    """
    known = pd.read_csv(FILE)
    errors = known[(known["dataset"] == dataset) & known["metric"].isin(AS_ERROR) & known["labelled"].between(*span)]
    found = errors[errors["strategy"].isin(list(strategies))]
    absent = [paper for paper in papers if strategies and paper not in set(found["paper"])]
    if absent:
        have = ", ".join(sorted(set(errors["paper"]))) or "no paper"
        raise UsageError(
            f"{absent[0]} has no published curve of these strategies on {dataset}; {have} has one on {dataset}"
        )
    kept = found[found["paper"].isin(list(papers))] if papers else found
    values = [AS_ERROR[metric](value) for metric, value in zip(kept["metric"], kept["value"], strict=True)]
    return kept.assign(test_error=values)[["paper", "strategy", "labelled", "test_error"]].reset_index(drop=True)
