"""Run folders as al-run writes them, with errors chosen by a test."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from al_runner.analysis.table.rows import COLUMNS
from al_runner.record.run_id import RunId

SHARED = {"dataset": "usps", "model": "usps_cnn", "learner": "plain", "training": "adam8", "budget": "usps"}


def make_run(
    root: Path,
    strategy: str,
    seed: int,
    errors: Sequence[float],
    *,
    labelled: Sequence[int] | None = None,
    name: str = "",
    settings: dict[str, object] | None = None,
    more: dict[str, Sequence[float]] | None = None,
    **shared: str,
) -> Path:
    """One run folder; `errors` are the test errors by round, `labelled` 8, 16, ... unless told.

    `more` are further columns of rounds.csv.
    """
    run = {**SHARED, **shared, "strategy": strategy, "name": name, "seed": seed}
    folder = root / RunId.of(run).folder
    folder.mkdir(parents=True)
    config = {"seed": seed, **(settings or {}), "run": run}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    counts = list(labelled) if labelled is not None else [8 * (i + 1) for i in range(len(errors))]
    best = np.minimum.accumulate(errors) if len(errors) else []
    with (folder / "rounds.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        others = more or {}
        writer.writerow([*COLUMNS, *others])
        for i, (count, error) in enumerate(zip(counts, errors, strict=True)):
            select = "" if i == 0 else 0.5
            writer.writerow(
                [i, count, error, 1 - error, best[i], error / 2, 0.0, 0.1, 100, 1.5 + seed, select, min(10, i + 2)]
                + [values[i] for values in others.values()]
            )
    return folder
