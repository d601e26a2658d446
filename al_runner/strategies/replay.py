"""Replay: the purchases of another run or program, bought again in the same order (Lowell et al., 2019)."""

import csv
from dataclasses import dataclass, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from al_runner.budget import Budget
from al_runner.errors import UsageError
from al_runner.pool import Pool
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.strategies.base import Strategy
from al_runner.system.foreign import TABLE, content, unreadable
from al_runner.types import Fitted

PURCHASES = "acquired.csv"  # in the folder of a run


@options("strategy")
@dataclass(frozen=True)
class Replay(Strategy):
    """Buys images in the order of a list, whatever the fit says; images that are bought already are passed over.

    So another net, learner or training gets the images that were chosen for the first one (the successor model of
    Lowell et al., 2019), and choices of other programs are measured like those of any strategy here. A run
    ends with as many labels as its list has. With budget.initial_by=replay the list has the initial set, too.
    """

    run: Annotated[
        str | None,
        Means("the folder of a run, or a CSV file with a column id: the images to buy, in order of purchase"),
    ]
    without_fit: ClassVar[bool] = True

    def plan(self, budget: Budget) -> Budget:
        most = min(budget.max_labelled or len(self.ids), len(self.ids))
        return replace(budget, max_labelled=most, candidates="all")

    def select(self, fitted: Fitted, pool: Pool, n: int, rng: torch.Generator) -> Tensor:
        ids = torch.tensor(self.ids, dtype=torch.int64, device=pool.candidates.device)
        foreign = ids[~torch.isin(ids, torch.cat([pool.labelled, pool.unlabelled]))]
        if len(foreign):
            raise UsageError(
                f"{self.file} has the id {int(foreign[0])}, which is none of the training images here; take the "
                "dataset=, dataset.split and pool= of the run that bought it"
            )
        left = ids[torch.isin(ids, pool.candidates)]
        if len(left) < n:
            raise UsageError(f"{self.file} has {len(left)} images that are not bought yet, and the query asks for {n}")
        return left[:n]

    @property
    def file(self) -> Path:
        """The file that holds the list. Raises UsageError if none is given."""
        if self.run is None:
            raise UsageError(
                "strategy=replay repeats the purchases of another run; name its folder with strategy.run= (in "
                "Python, use al_runner.run)"
            )
        path = Path(self.run).expanduser()
        return path / PURCHASES if path.is_dir() else path

    @cached_property
    def ids(self) -> list[int]:
        """The ids of the list. Raises UsageError if there is none, or if an id is no whole number or stands twice."""
        try:
            rows = [*csv.DictReader(StringIO(content(self.file, TABLE).decode()))]
            ids = [int(row["id"]) for row in rows]
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no {self.file}; strategy.run is the folder of a run, or a CSV file with a column id"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(self.file, "it has no column id of whole numbers") from error
        if not ids or len({*ids}) < len(ids):
            raise unreadable(self.file, "an id stands there twice" if ids else "it names no image")
        return ids
