"""What a reader of the curves should know about the runs behind them, one line each."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from al_runner.analysis.stats.curves import by_seed, split_by_curve
from al_runner.analysis.table.names import curve_names, is_truth
from al_runner.analysis.table.runs import Found
from al_runner.analysis.tell.text import listed
from al_runner.record.run_id import COMBINATION


def notes(found: Found) -> list[str]:
    """Runs that are left out, are shorter than others, or don't fit together; none for a whole set of runs."""
    told = left_out(found)
    for _, runs in found.frame.groupby(list(COMBINATION), sort=True):
        told += [*_short(runs), *_uneven(runs), *_mixed(runs, found.configs)]
    return told


def left_out(found: Found) -> list[str]:
    """A line for every damaged run, and one for those of which no round is finished yet."""
    begun = set(found.frame["folder"])
    unbegun = [name for name in found.configs if name not in begun]
    lines = [f"left out, {line}" for line in found.damaged]
    return [*lines, f"left out, no round finished yet: {listed(unbegun)}"] if unbegun else lines


def _short(runs: pd.DataFrame) -> list[str]:
    """Runs that end before the longest of their figure does."""
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
    """Curves whose seeds were measured at different label counts, beyond one ending earlier than another."""
    found = []
    for name, part in split_by_curve(runs).items():
        common_end = part.groupby("seed")["labelled"].max().min()
        counts = part.loc[part["labelled"] <= common_end, "labelled"].nunique()
        shared = len(by_seed(part, "test_error"))
        if shared < counts:
            drawn = "left out" if shared == 0 else "drawn only at those"
            found.append(f"{name}: its seeds share {shared} of {counts} label counts; {drawn}")
    return found


def _mixed(runs: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Curves whose seeds differ in a setting: a mean of unlike runs."""
    found = []
    for name, folders in runs.groupby(curve_names(runs), sort=True)["folder"]:
        settings = [_flat(configs[folder]) for folder in folders.unique() if folder in configs]
        keys = sorted({key for setting in settings for key in setting})
        mixed = [key for key in keys if any(s.get(key) != settings[0].get(key) for s in settings)]
        if mixed:
            found.append(f"{name}: its seeds differ in {listed(mixed)}; give variants of a strategy a name=")
    return found


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mapping -> {"a.b": value}, without what tells seeds apart."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if not prefix and key in ("run", "seed"):
            continue
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
