"""Notes on the runs behind the curves, one line each."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from al_runner.analysis.stats.curves import by_seed, split_by_curve
from al_runner.analysis.table.names import curve_names, is_truth
from al_runner.analysis.table.runs import Contents
from al_runner.record.identity import MAY_DIFFER, all_settings
from al_runner.record.run_id import COMBINATION
from al_runner.system.text import listed

Settings = Mapping[str, Any]  # of a run, by dotted names
# Settings that say where a run's files lie, what is kept of it, and when it ends.
KEEPING = (
    *MAY_DIFFER,
    "seed",
    "run",
    "results",
    "data_root",
    "overwrite",
    "recover",
    "save_weights",
    "threads",
    "logger",
)


def notes(contents: Contents) -> list[str]:
    """Lines on runs that are left out, are shorter than others, or don't fit together; empty if all is well."""
    lines = left_out(contents)
    for _, runs in contents.frame.groupby(list(COMBINATION), sort=True):
        lines += [*_short(runs), *_uneven(runs)]
    return [*lines, *unlike(contents.frame, contents.configs)]


def unlike(frame: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines on settings that differ where runs are compared: between the seeds of a curve, and between strategies.

    `frame` is a tidy table (`load`), and `configs` has the configurations of its runs, as far as they are known.
    """
    settings = {folder: all_settings(config) for folder, config in configs.items()}
    lines = []
    for _, runs in frame.groupby(list(COMBINATION), sort=True):
        lines += [*_mixed(runs, settings), *_unequal(runs, settings)]
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


def _mixed(runs: pd.DataFrame, settings: Mapping[str, Settings]) -> list[str]:
    """Curves whose seeds differ in a setting, and it is not equal to the seed, as pool.seed may be."""
    lines = []
    for name, folders in runs.groupby(curve_names(runs), sort=True)["folder"]:
        found = [settings[folder] for folder in folders.unique() if folder in settings]
        mixed = [key for key in _differing(found) if any(one.get(key) != one.get("seed") for one in found)]
        if mixed:
            lines.append(f"{name}: its seeds differ in {listed(mixed)}; give variants of a strategy a name=")
    return lines


def _unequal(runs: pd.DataFrame, settings: Mapping[str, Settings]) -> list[str]:
    """A line if strategies differ in a setting that is not their own. Variants with a name= may differ in anything."""
    known = runs[~is_truth(runs) & (runs["name"] == "") & runs["folder"].isin(settings)]
    first = known.groupby("strategy", sort=True)["folder"].first()
    unequal = _differing([settings[folder] for folder in first], ("strategy",))
    if not unequal:
        return []
    values = {key: dict.fromkeys(str(settings[folder].get(key)) for folder in first) for key in unequal}
    shown = listed([f"{key} ({', '.join(different)})" for key, different in values.items()])
    return [
        f"{listed(list(first.index))}: they differ in more than the strategy: {shown}; run them with equal settings"
    ]


def _differing(settings: Sequence[Settings], apart: Sequence[str] = ()) -> list[str]:
    """The settings that are not equal in all of these runs, without those in and below `apart` and KEEPING.

    A learner's copy of the training is left out if the training differs, too.
    """
    keys = sorted({key for setting in settings for key in setting})
    compared = [key for key in keys if not any(f"{key}.".startswith(f"{part}.") for part in (*KEEPING, *apart))]
    differing = [key for key in compared if any(setting.get(key) != settings[0].get(key) for setting in settings)]
    copies = {f"learner.recipe.{key.removeprefix('training.')}" for key in differing if key.startswith("training.")}
    return [key for key in differing if key not in copies]
