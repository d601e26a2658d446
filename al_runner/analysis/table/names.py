"""What the rows of the tidy table belong to: which curve, which case, and which are ground truth."""

from collections.abc import Sequence

import pandas as pd

from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION, curve_name

EVERYTHING = "full"  # the strategy that buys every label at once


def is_truth(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are ground truth: trained once on every label, a line in a figure and no curve."""
    return frame["strategy"] == EVERYTHING


def all_truth(frame: pd.DataFrame) -> bool:
    """Whether no row belongs to a curve."""
    return bool(is_truth(frame).all())


def require_curve(frame: pd.DataFrame, task: str) -> None:
    """UsageError unless some row belongs to a curve; `task` is what one was wanted for, such as `draw`."""
    if all_truth(frame):
        raise UsageError(
            f"no curve to {task}: there is no strategy but {EVERYTHING}; run another one, e.g. strategy=random"
        )


def curve_names(frame: pd.DataFrame) -> "pd.Series[str]":
    """What each row's curve is called, see `RunId.curve`."""
    names = [curve_name(strategy, name) for strategy, name in zip(frame["strategy"], frame["name"], strict=True)]
    return pd.Series(names, index=frame.index, dtype=object)


def across(frame: pd.DataFrame, keys: str | None) -> pd.DataFrame:
    """Runs that differ in `keys` (of COMBINATION but dataset, commas between) as curves of one combination.

    Every curve is then called by its values of those keys too: random-plain and bald-ensemble across learners.
    UsageError for a key that is none.
    """
    if keys is None:
        return frame
    wanted = columns(keys, "--across", COMBINATION[1:])
    told = [key for key in wanted if frame[key].nunique() > 1]
    parts = zip(frame["name"], *(frame[key] for key in told), strict=True)
    names = [curve_name(*map(str, row)) for row in parts]
    return frame.assign(name=names, **dict.fromkeys(told, ""))


def columns(keys: str, option: str, choices: Sequence[str] = COMBINATION) -> tuple[str, ...]:
    """The keys of an option, with commas between; UsageError for one that is none of `choices`."""
    wanted = tuple(keys.split(","))
    if not set(wanted) <= set(choices):
        raise UsageError(f"{option} is {keys}; give some of {', '.join(choices)}, with commas")
    return wanted


def only(frame: pd.DataFrame, names: str | None) -> pd.DataFrame:
    """The rows of the curves in `names`, with commas between; of all for None. UsageError for a name that is none."""
    if names is None:
        return frame
    wanted, curves = names.split(","), curve_names(frame)
    unknown = [name for name in wanted if name not in set(curves)]
    if unknown:
        there = ", ".join(sorted(set(curves)))
        raise UsageError(f"--only: there is no curve {', '.join(unknown)}; choose some of {there}, with commas")
    return frame[curves.isin(wanted)]


def common_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seeds that all curves of a combination share, and ground truth.

    UsageError where a combination has no such seed.
    """
    parts = []
    for key, runs in frame.groupby(list(COMBINATION), sort=False):
        drawn = runs[~is_truth(runs)]
        curves = [set(seeds) for _, seeds in drawn["seed"].groupby(curve_names(drawn))]
        shared = set.intersection(set(runs["seed"]), *curves)
        if curves and not shared:
            where = ", ".join(filter(None, map(str, key)))
            raise UsageError(f"--common: the curves of {where} share no seed; leave some out (--only)")
        parts.append(runs[runs["seed"].isin(shared) | is_truth(runs)])
    return pd.concat(parts).sort_index()


def case_title(key: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Data set and model of a case, and whatever else tells it from the others; `key` the values of COMBINATION."""
    tells = [i < 2 or len({other[i] for other in others}) > 1 for i in range(len(key))]
    return ", ".join(part for part, told in zip(key, tells, strict=True) if part and told)
