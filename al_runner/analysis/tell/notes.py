"""Notes on the runs behind the curves, one line each."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from al_runner.analysis.stats.curves import by_seed, split_by_curve
from al_runner.analysis.table.names import curve_names, is_truth
from al_runner.analysis.table.runs import Contents
from al_runner.record.flat import flat
from al_runner.record.run_id import COMBINATION
from al_runner.system.text import listed


def notes(contents: Contents) -> list[str]:
    """Lines on runs that are left out, are shorter than others, or don't fit together; empty if all is well."""
    lines = left_out(contents)
    for _, runs in contents.frame.groupby(list(COMBINATION), sort=True):
        lines += [*_short(runs), *_uneven(runs), *_mixed(runs, contents.configs)]
    return lines


def left_out(contents: Contents) -> list[str]:
    """A line for every damaged run, and one line for all runs without a finished round."""
    begun = set(contents.frame["folder"])
    unbegun = [*(name for name in contents.configs if name not in begun), *contents.unbegun]
    lines = [f"left out, {line}" for line in contents.damaged]
    return [*lines, f"left out, no round finished yet (al-status says why): {listed(unbegun)}"] if unbegun else lines


def _short(runs: pd.DataFrame) -> list[str]:
    """Runs that end before the longest run of their figure."""
    ends = runs[~is_truth(runs)].groupby("folder", sort=True)["labelled"].max()
    short = ends[ends < ends.max()]
    if short.empty:
        return []
    named = listed([f"{folder} (to {end:,})" for folder, end in short.items()])
    return [
        f"unfinished or shorter than {ends.max():,} labels: {named}; a mean is drawn only where all seeds of a "
        "strategy are present"
    ]


def _uneven(runs: pd.DataFrame) -> list[str]:
    """Curves whose seeds have different label counts, even up to the end of their shortest run."""
    lines = []
    for name, part in split_by_curve(runs).items():
        common_end = part.groupby("seed")["labelled"].max().min()
        counts = part.loc[part["labelled"] <= common_end, "labelled"].nunique()
        shared = len(by_seed(part, "test_error"))
        if shared < counts:
            drawn = "left out" if shared == 0 else "drawn only at those"
            lines.append(f"{name}: its seeds share {shared} of {counts} label counts; {drawn}")
    return lines


def _mixed(runs: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Curves whose seeds differ in a setting: a mean of unlike runs."""
    lines = []
    for name, folders in runs.groupby(curve_names(runs), sort=True)["folder"]:
        settings = [flat(configs[folder]) for folder in folders.unique() if folder in configs]
        keys = sorted({key for setting in settings for key in setting if key != "seed" and not key.startswith("run.")})
        mixed = [key for key in keys if any(s.get(key) != settings[0].get(key) for s in settings)]
        if mixed:
            lines.append(f"{name}: its seeds differ in {listed(mixed)}; give variants of a strategy a name=")
    return lines
