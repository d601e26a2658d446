"""Published numbers of papers, to compare with those of runs."""

import re
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

    Columns: item (table or figure), dataset, model, strategy, arm, curve, metric, labelled, value, std, runs, and
    source. `arm` is the paper's name of a number that differs from others in more than the strategy. `curve` is then a
    regular expression of the names that our curve of it may have. Source P is printed in the paper, and L was read off
    its figures or its authors' logs.
    """
    frame = pd.read_csv(FILE)
    return frame[frame["paper"] == paper].drop(columns="paper").reset_index(drop=True)


def matching(
    dataset: str,
    curves: Sequence[str],
    papers: Sequence[str] = (),
    span: tuple[int, int] = (0, 2**62),
    model: str = "",
) -> pd.DataFrame:
    """Published test errors of these curves on a data set, within a span of label counts (both ends included).

    Columns: paper, curve, labelled, test_error (a fraction). `papers` selects papers; without it, all count. If a paper
    has errors of the net `model`, its other nets are left out. Raises UsageError if one of `papers` has no such error.
    """
    known = pd.read_csv(FILE, keep_default_na=False, na_values={"labelled": ""})
    errors = known[(known["dataset"] == dataset) & known["metric"].isin(AS_ERROR) & known["labelled"].between(*span)]
    of_net = errors["model"] == model
    errors = errors[of_net | ~errors["paper"].isin(errors["paper"][of_net])]
    parts = [errors[_are(errors, curve)].assign(curve=curve) for curve in curves]
    here = pd.concat([errors[:0], *parts]).sort_index(kind="stable")
    absent = [paper for paper in papers if curves and paper not in set(here["paper"])]
    if absent:
        have = ", ".join(sorted(set(errors["paper"]))) or "no paper"
        raise UsageError(
            f"{absent[0]} has no published curve of these strategies on {dataset}; {have} has one on {dataset}"
        )
    kept = here[here["paper"].isin(list(papers))] if papers else here
    values = [AS_ERROR[metric](value) for metric, value in zip(kept["metric"], kept["value"], strict=True)]
    return kept.assign(test_error=values)[["paper", "curve", "labelled", "test_error"]].reset_index(drop=True)


def _are(errors: pd.DataFrame, curve: str) -> list[bool]:
    """Which rows are numbers of our curve of this name."""
    patterns = zip(errors["strategy"], errors["curve"], strict=True)
    return [bool(re.fullmatch(pattern, curve)) if pattern else curve == name for name, pattern in patterns]
