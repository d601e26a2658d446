"""How many labels a strategy needs to reach an error, and what share of the baseline's labels this saves."""

from collections.abc import Sequence
from math import isnan, nan

import numpy as np
import pandas as pd

from al_runner.analysis.stats.case import Case
from al_runner.analysis.stats.intervals import interval, mean_columns
from al_runner.analysis.stats.measures import each_run, labels_to
from al_runner.analysis.table.metrics import LOSS
from al_runner.record.run_id import COMBINATION

TARGETS = (0.2, 0.1, 0.05, 0.02, 0.01)


def labels_needed(case_list: Sequence[Case], targets: Sequence[float] | None = None) -> pd.DataFrame:
    """Labels at the first test error of `target` or less, and the saving against the baseline, paired by seed.

    The first target of a case is the baseline's final error in the same seed (NaN in the column `target`). The others
    are `targets` (fractions), or those of 20, 10, 5, 2 and 1% that some run reaches after its start. They are values of
    the case's metric; without `targets`, one that is no fraction has only the first. `reached` of
    `seeds` runs reach the target, and `labels` is their mean. `fewer` is the mean of the baseline's labels - labels,
    and `saving` the mean of 1 - labels / the baseline's labels, a fraction, over the `pairs` in which both reach it.
    Each is NaN unless all of its runs or pairs reach the target, because a mean of only the lucky ones would flatter.
    """
    rows = []
    for case in case_list:
        levels: list[float] = [*([nan] if case.baseline in case.parts else []), *_targets(case, targets)]
        for target in levels:
            goals = case.values(case.baseline, "final") if isnan(target) else None
            base = _needed(case, case.baseline, target, goals) if case.baseline in case.parts else None
            for name in case.parts:
                needed = _needed(case, name, target, goals)
                row = {**case.where, "curve": name, "target": target, "seeds": len(needed)}
                row["reached"] = int(needed.notna().sum())
                row |= mean_columns("labels", interval(needed) if needed.notna().all() else (nan, nan))
                rows.append(row | _saving(needed, base, name == case.baseline))
    measured = (
        "target",
        "seeds",
        "reached",
        "labels",
        "labels_half",
        "pairs",
        "saving",
        "saving_half",
        "fewer",
        "fewer_half",
    )
    return pd.DataFrame(rows, columns=[*COMBINATION, "curve", *measured])


def _targets(case: Case, asked: Sequence[float] | None) -> list[float]:
    if asked is not None:
        return list(asked)
    if not case.metric.share:
        return []
    within = [part[part["labelled"] <= case.budget.end] for part in case.parts.values()]
    ordered = [part.sort_values(["seed", "round"]) for part in within if len(part)]
    lowest = min((part[LOSS].min() for part in ordered), default=1.0)
    first = max((part.groupby("seed")[LOSS].first().max() for part in ordered), default=0.0)
    return [target for target in TARGETS if lowest <= target < first]


def _needed(case: Case, name: str, target: float, goals: "pd.Series[float] | None") -> "pd.Series[float]":
    """Labels to the target by seed, or to each seed's own target in `goals`; only the seeds in `goals` then count."""
    needed = {
        seed: labels_to(run, target if goals is None else float(goals[seed]), case.budget, LOSS)
        for seed, run in each_run(case.parts[name], ["seed"], ["labelled", LOSS])
        if goals is None or seed in goals.index
    }
    return pd.Series(needed, dtype=np.float64)


def _saving(needed: "pd.Series[float]", base: "pd.Series[float] | None", itself: bool) -> dict[str, float]:
    nothing = {**mean_columns("saving", (nan, nan)), **mean_columns("fewer", (nan, nan))}
    if base is None or itself:
        return {"pairs": 0, **nothing}
    shared = needed.index.intersection(base.index)
    fewer = base[shared] - needed[shared]
    pairs = int(fewer.notna().sum())
    if pairs < max(1, len(shared)):
        return {"pairs": pairs, **nothing}
    saving = interval(fewer / base[shared])
    return {"pairs": pairs, **mean_columns("saving", saving), **mean_columns("fewer", interval(fewer))}
