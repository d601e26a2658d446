"""Which curve and which case a row of the tidy table belongs to, and which rows are ground truth."""

from collections.abc import Iterable, Sequence

import pandas as pd

from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION, UPPER_LINE, curve_name

EVERYTHING = "full"  # the strategy that buys every label at once
LOOK_AHEAD = "look_ahead"  # the strategy whose runs are upper lines even if an older version did not record it


def is_truth(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are ground truth: trained once on all labels, and shown as a line, not as a curve."""
    return frame["strategy"] == EVERYTHING


def upper_lines(frame: pd.DataFrame) -> set[str]:
    """The names of the curves that know hidden labels. They are shown and never ranked."""
    named = frame["strategy"] == LOOK_AHEAD
    return set(curve_names(frame[named | (frame[UPPER_LINE] == 1) if UPPER_LINE in frame else named]))


def all_truth(frame: pd.DataFrame) -> bool:
    """Whether no row belongs to a curve."""
    return bool(is_truth(frame).all())


def require_curve(frame: pd.DataFrame, task: str) -> None:
    """Raises UsageError if no row belongs to a curve; `task` is the verb of the error, such as `draw`."""
    if all_truth(frame):
        raise UsageError(
            f"no curve to {task}: {EVERYTHING} is the only strategy; run another one, e.g. strategy=random"
        )


def curve_names(frame: pd.DataFrame) -> "pd.Series[str]":
    """The name of each row's curve, see `RunId.curve`."""
    pairs = list(zip(frame["strategy"].tolist(), frame["name"].tolist(), strict=True))
    known = {pair: curve_name(*pair) for pair in set(pairs)}  # far fewer than rows
    return pd.Series([known[pair] for pair in pairs], index=frame.index, dtype=object)


def across(frame: pd.DataFrame, keys: str | None) -> pd.DataFrame:
    """The table with runs that differ in `keys` as curves of one combination.

    `keys` are names of COMBINATION except dataset, with commas between them. A curve's name then includes its values of
    those keys: random-plain and bald-ensemble across learners. Raises UsageError for an unknown key.
    """
    if keys is None:
        return frame
    wanted = columns(keys, "--across", COMBINATION[1:])
    varied = [key for key in wanted if frame[key].nunique() > 1]
    parts = zip(frame["name"], *(frame[key] for key in varied), strict=True)
    names = [curve_name(*map(str, row)) for row in parts]
    return frame.assign(name=names, **dict.fromkeys(varied, ""))


def columns(keys: str, option: str, choices: Sequence[str] = COMBINATION) -> tuple[str, ...]:
    """The keys of an option, which have commas between them. Raises UsageError for a key that is not in `choices`."""
    wanted = tuple(keys.split(","))
    if not set(wanted) <= set(choices):
        raise UsageError(f"{option} is {keys}; give some of {', '.join(choices)}, with commas")
    return wanted


def only(frame: pd.DataFrame, names: str | None) -> pd.DataFrame:
    """The rows of the curves in `names`, which have commas between them; all rows for None.

    Raises UsageError for a name that is no curve.
    """
    if names is None:
        return frame
    wanted, curves = names.split(","), curve_names(frame)
    unknown = [name for name in wanted if name not in set(curves)]
    if unknown:
        there = ", ".join(sorted(set(curves)))
        raise UsageError(f"--only: there is no curve {', '.join(unknown)}; choose some of {there}, with commas")
    return frame[curves.isin(wanted)]


def common_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Ground truth, and the rows of the seeds that all curves of a combination share.

    Raises UsageError if a combination has no such seed.
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


def case_words(key: Iterable[object]) -> str:
    """The parts of a case with their names, as `dataset usps, model usps_cnn`; `key` may be the first parts alone."""
    return ", ".join(f"{name} {part}" for name, part in zip(COMBINATION, key, strict=False) if part)


def case_title(key: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Data set and model of a case, and the other parts that differ from the others; `key` has COMBINATION's values."""
    shown = [i < 2 or len({other[i] for other in others}) > 1 for i in range(len(key))]
    return ", ".join(part for part, show in zip(key, shown, strict=True) if part and show)
