"""Which run it is: the parts of its name, and every way in which they are written."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from al_runner.errors import UsageError


class RunId(NamedTuple):
    """What tells a run from every other; the parts of a run of another program may be empty."""

    dataset: str
    model: str
    learner: str
    training: str
    budget: str
    strategy: str
    name: str  # of a variant of the strategy; empty for the strategy itself
    seed: int

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> "RunId":
        """From the mapping `run` of a configuration, or a row of a table; other keys don't matter.

        UsageError names the first part that is missing or of another type.
        """
        for part in cls._fields:
            kind = int if part == "seed" else str
            if type(run.get(part)) is not kind:
                raise UsageError(f"run.{part} is {run.get(part)!r}, not {kind.__name__}")
        return cls(*(run[part] for part in cls._fields))

    @property
    def curve(self) -> str:
        """What its curve is called: all seeds of one strategy, or of one variant, make a curve."""
        return curve_name(self.strategy, self.name)

    @property
    def label(self) -> str:
        """To name it in a line of a log."""
        return f"{self.dataset} {self.curve} seed {self.seed}"

    @property
    def folder(self) -> PurePosixPath:
        """Where its files lie, below the folder of all results."""
        settings = "-".join(filter(None, (self.model, self.learner, self.training, self.budget)))
        return PurePosixPath(self.dataset, settings, self.curve, f"seed{self.seed}")


COMBINATION = RunId._fields[:5]  # what one figure and one comparison hold constant


def curve_name(strategy: str, *variant: str) -> str:
    """The strategy, then what tells its variants apart; empty words are left out."""
    return "-".join(filter(None, (strategy, *variant)))
