"""Reads everything that a folder holds, once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from al_runner.analysis.report.bought import class_balance, nearest_distance, purchases, shrunk
from al_runner.analysis.report.confused import last_confusion
from al_runner.analysis.report.evidence import Evidence, provenance
from al_runner.analysis.report.images import Images, find_images, fits
from al_runner.analysis.stats.case import Case
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.metrics import ERROR, Metric
from al_runner.analysis.table.runs import Contents, find
from al_runner.analysis.tell.comparison import Comparison
from al_runner.analysis.tell.notes import left_out, unlike
from al_runner.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """The contents of a folder, as the page needs them."""

    directory: Path
    contents: Contents
    comparison: Comparison
    bought: Mapping[str, pd.DataFrame]
    starts: Mapping[str, list[dict[str, Any]]]
    data_root: Path
    confusions: Mapping[str, pd.DataFrame]  # of the runs that recorded a confusion matrix, see `last_confusion`
    unread: Sequence[str]  # a line for every damaged file of a run whose rounds.csv is sound
    names: Names = field(default_factory=Names)

    @classmethod
    def of(
        cls,
        directory: Path,
        data_root: Path,
        at: int | None = None,
        baseline: str | None = None,
        label_cost: float | None = None,
        metric: Metric = ERROR,
    ) -> "Source":
        """Read the folder. The options are as in `Comparison.of`. Raises UsageError as it and `find`."""
        contents, unread = find(directory), list[str]()
        comparison = Comparison.of(contents.frame, at, baseline, label_cost=label_cost, metric=metric)
        sound = {name: contents.folders[name] for name in contents.configs}
        tables = _each(sound, purchases, unread)
        bought = {name: table for name, table in tables.items() if table is not None and len(table)}
        starts = _each(sound, provenance, unread)
        cells = _each(sound, last_confusion, unread)
        confusions = {name: table for name, table in cells.items() if table is not None}
        return cls(directory, contents, comparison, bought, starts, data_root, confusions, unread)

    @property
    def missing(self) -> list[str]:
        """A line for everything that is left out: runs, and damaged files of a run."""
        return [*left_out(self.contents), *self.unread]

    @cached_property
    def evidence(self) -> Evidence:
        """What is known about the runs, for the checklist."""
        differing = unlike(self.frame, self.configs)
        return Evidence(self.comparison.cases, self.configs, self.bought, self.starts, self.missing, differing)

    @property
    def frame(self) -> pd.DataFrame:
        return self.contents.frame

    @property
    def configs(self) -> Mapping[str, Mapping[str, Any]]:
        return self.contents.configs


def _each(folders: Mapping[str, Path], read: Callable[[Path], T], unread: list[str]) -> dict[str, T]:
    """What `read` gives for every folder. If it raises UsageError, a line goes to `unread` instead."""
    results = {}
    for name, folder in folders.items():
        try:
            results[name] = read(folder)
        except UsageError as error:
            unread.append(f"left out, {error}")
    return results


def purchase_measures(source: Source, runs: pd.DataFrame, images: Images | None) -> pd.DataFrame:
    """The rows of `runs` with measures of each round's purchase, NaN if unknown.

    "balance" is the class balance, "wrong" the share of wrong predictions, and "distance" the distance to the nearest
    image, which needs `images`.
    """
    labels = {
        label
        for folder in runs["folder"].unique()
        if folder in source.bought
        for label in source.bought[folder]["label"]
    }
    if not labels:
        return runs
    classes = len(images.classes) if images else len(labels)
    parts = []
    for folder, run in runs.groupby("folder", sort=False):
        bought = source.bought.get(str(folder))
        if bought is None:
            continue
        bought = bought[bought["round"].isin(run["round"])]
        if bought.empty:
            continue
        wrong = (bought["prediction"] != bought["label"]).where(bought["prediction"].notna())
        rounds = np.unique(bought["round"])
        new = {
            "balance": pd.Series(class_balance(bought, classes), rounds),
            "wrong": wrong.astype(float).groupby(bought["round"]).mean(),
        }
        if images is not None:
            ids = np.unique(bought["id"])
            small = dict(zip(ids.tolist(), shrunk(images.images[ids]), strict=True))
            new["distance"] = pd.Series(nearest_distance(bought, small), rounds)
        parts.append(run.assign(**{name: run["round"].map(values) for name, values in new.items()}))
    return pd.concat(parts) if parts else runs


def case_images(source: Source, case: Case) -> Images | str:
    """The images of a case, or a sentence that says why there are no contact sheets."""
    bought = [source.bought[folder] for folder in case.each["folder"] if folder in source.bought]
    if not bought:
        return "this folder has no acquired.csv, so it is unknown what was bought"
    starts = next((starts for folder in case.each["folder"] if (starts := source.starts.get(folder))), [])
    images = find_images(starts, source.data_root)
    if isinstance(images, Images) and not all(fits(images, part) for part in bought):
        return (
            "the labels in acquired.csv are not those of the prepared data set: it is another one, or pool= changed it"
        )
    return images
