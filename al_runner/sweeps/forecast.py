"""About how long runs will take, from the seconds of earlier runs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from al_runner.analysis.table.rows import read_rounds
from al_runner.analysis.table.runs import read_config
from al_runner.errors import UsageError
from al_runner.sweeps.progress import round_seconds
from al_runner.system.foreign import folders_with

ALIKE = ("dataset", "model", "strategy")  # parts of a run's name that an earlier run must share
BETTER = ("learner", "training")  # runs that share these, too, are preferred


class Earlier(NamedTuple):
    """A recorded run: its name, and the seconds of its rounds."""

    run: Mapping[str, Any]
    labelled: Sequence[int]
    seconds: Sequence[float]


class Forecast(NamedTuple):
    """The seconds of the rounds to come, and how many earlier runs say so."""

    seconds: float
    runs: int


def earlier_runs(results: Path) -> list[Earlier]:
    """Every recorded run below a folder; damaged runs are left out."""
    runs = []
    for folder in folders_with(results, ["rounds.csv"]) if results.is_dir() else []:
        with suppress(UsageError):
            rows, run = read_rounds(folder), read_config(folder)["run"]
            if rows:
                runs.append(Earlier(run, [row["labelled"] for row in rows], [*map(round_seconds, rows)]))
    return runs


def forecast(
    run: Mapping[str, Any], purchases: Sequence[int], done: int, earlier: Sequence[Earlier]
) -> Forecast | None:
    """The seconds of a run's rounds from `done` on; None if no earlier run has its data set, model and strategy.

    A round takes the median over the earlier runs of their seconds with as many labels, interpolated between rounds.
    Beyond an earlier run's first and last round, it takes as long as that round.
    """
    alike = [one for one in earlier if all(one.run[part] == run[part] for part in ALIKE)]
    same = [one for one in alike if all(one.run[part] == run[part] for part in BETTER)] or alike
    if not same:
        return None
    totals = [*accumulate(purchases)][done:]
    each = [[float(np.interp(total, one.labelled, one.seconds)) for total in totals] for one in same]
    return Forecast(sum(map(median, zip(*each, strict=True))), len(same))
