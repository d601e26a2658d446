"""Everything that a folder holds, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from al_runner.analysis.report.bought import class_balance, nearest_distance, purchases, shrunk
from al_runner.analysis.report.evidence import provenance
from al_runner.analysis.report.images import Images, find_images, fits
from al_runner.analysis.stats.case import Case
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.runs import load, read_config, run_folders
from al_runner.analysis.tell.comparison import Comparison


@dataclass(frozen=True)
class Source:
    """A folder as the page needs it."""

    directory: Path
    frame: pd.DataFrame
    comparison: Comparison
    configs: Mapping[str, Mapping[str, Any]]
    bought: Mapping[str, pd.DataFrame]
    starts: Mapping[str, list[dict[str, Any]]]
    data_root: Path
    names: Names = field(default_factory=Names)

    @classmethod
    def of(cls, directory: Path, data_root: Path, at: int | None = None, baseline: str | None = None) -> "Source":
        """Read the folder; UsageError as of `load` and `compare.cases`."""
        frame = load(directory)
        found = {folder.relative_to(directory).as_posix(): folder for folder in run_folders(directory)}
        held = {name: purchases(folder) for name, folder in found.items()}
        return cls(
            directory,
            frame,
            Comparison.of(frame, at, baseline),
            {name: read_config(folder) for name, folder in found.items()},
            {name: bought for name, bought in held.items() if bought is not None and len(bought)},
            {name: provenance(folder) for name, folder in found.items()},
            data_root,
        )


def purchase_measures(source: Source, runs: pd.DataFrame, images: Images | None) -> pd.DataFrame:
    """Rows of `runs` with the balance, the distance and the surprise of each round's purchase, NaN where unknown."""
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
        wrong = (bought["prediction"] != bought["label"]).where(bought["prediction"].notna())
        new = {
            "balance": class_balance(bought, classes),
            "wrong": wrong.astype(float).groupby(bought["round"]).mean().to_numpy(),
        }
        if images is not None:
            ids = np.unique(bought["id"])
            small = dict(zip(ids.tolist(), shrunk(images.images[ids]), strict=True))
            new["distance"] = nearest_distance(bought, small)
        parts.append(run.sort_values("round").assign(**new))
    return pd.concat(parts)


def case_images(source: Source, case: Case) -> Images | str:
    """The case's images, or why the contact sheets are left out."""
    bought = [source.bought[folder] for folder in case.each["folder"] if folder in source.bought]
    if not bought:
        return "this folder has no acquired.csv, so what was bought is not known"
    config = next(source.configs[folder] for folder in case.each["folder"] if folder in source.configs)
    images = find_images(config, source.data_root)
    if isinstance(images, Images) and not all(fits(images, part) for part in bought):
        return (
            "the labels in acquired.csv are not those of the prepared data set: it is another one, or pool= spoilt it"
        )
    return images
