"""The table of a figure: final errors, areas and differences to random sampling."""

import pandas as pd

from al_runner.analysis.stats.curves import by_seed, mean_error, paired_difference, split_by_curve
from al_runner.analysis.stats.intervals import interval
from al_runner.analysis.table.names import all_truth
from al_runner.analysis.table.rows import BASELINE
from al_runner.record.run_id import COMBINATION


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a combination and curve; errors are fractions, `_half` the 95% half-width, seconds are medians a round.

    `final` is the test error at the last label count that all seeds have, `area` the `mean_error` up to there.
    """
    rows = []
    for key, runs in frame.groupby(list(COMBINATION), sort=True):
        where = dict(zip(COMBINATION, key, strict=True))
        parts = split_by_curve(runs)
        rows += [where | {"curve": name} | _measures(name, part, parts.get(BASELINE)) for name, part in parts.items()]
    return pd.DataFrame(rows)


def _measures(name: str, runs: pd.DataFrame, baseline: pd.DataFrame | None) -> dict[str, float | int | None]:
    errors = by_seed(runs, "test_error")
    final = interval(errors.iloc[-1] if len(errors) else [])
    area = interval(mean_error(errors) if len(errors) else [])
    final_gap = area_gap = interval([])
    compared = baseline is not None and name != BASELINE and not all_truth(runs)
    if compared and baseline is not None:
        final_gap, area_gap = paired_difference(runs, baseline)
    later = runs[runs["round"] > 0]  # the initial set is drawn, not selected
    return {
        "seeds": runs["seed"].nunique(),
        "labelled": int(errors.index[-1]) if len(errors) else None,
        "final": final.mean,
        "final_half": final.half,
        "area": area.mean,
        "area_half": area.half,
        "pairs": len(set(runs["seed"]) & set(baseline["seed"])) if compared and baseline is not None else 0,
        "final_minus_random": final_gap.mean,
        "final_minus_random_half": final_gap.half,
        "area_minus_random": area_gap.mean,
        "area_minus_random_half": area_gap.half,
        "fit_seconds": runs["fit_seconds"].median(),
        "select_seconds": later["select_seconds"].median(),
    }
