"""Numbers that papers print, to stand beside those of runs."""

from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("published.csv")


def published(paper: str) -> pd.DataFrame:
    """What `paper` (such as gal2017) printed, one row a number; strategies have the names of conf/strategy.

    Columns: item (table or figure), dataset, model, strategy, metric, labelled, value, std, runs, and source: P is
    printed in the paper, L was read off its figures or its authors' logs.
    """
    frame = pd.read_csv(FILE)
    return frame[frame["paper"] == paper].drop(columns="paper").reset_index(drop=True)
