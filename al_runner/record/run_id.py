"""The identity of a run: the parts of its name, and every way in which they are written."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from al_runner.errors import UsageError

LONGEST = 200  # characters of a part: file names contain it, and most systems allow 255 bytes


class RunId(NamedTuple):
    """The parts that make a run different from all others. Parts of a run of another program may be empty."""

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
        """From the mapping `run` of a configuration, or from a row of a table; other keys don't matter.

        Raises UsageError that names the first part that is missing, has another type, or is a text that can't be shown
        in a line.
        """
        for part in cls._fields:
            kind, value = int if part == "seed" else str, run.get(part)
            if type(value) is not kind:
                raise UsageError(f"run.{part} is {_short(value)}, not {kind.__name__}")
            if isinstance(value, str) and not (value.isprintable() and len(value) <= LONGEST):
                raise UsageError(f"run.{part} is {_short(value)}; use at most {LONGEST} printable characters")
        return cls(*(run[part] for part in cls._fields))

    @property
    def curve(self) -> str:
        """The name of its curve: all seeds of one strategy, or of one variant, make a curve."""
        return curve_name(self.strategy, self.name)

    @property
    def title(self) -> str:
        """The name of the run in a line of a log."""
        return f"{self.dataset} {self.curve} seed {self.seed}"

    @property
    def folder(self) -> PurePosixPath:
        """The folder of its files, below the folder of all results."""
        settings = "-".join(filter(None, (self.model, self.learner, self.training, self.budget)))
        return PurePosixPath(self.dataset, settings, self.curve, f"seed{self.seed}")


UPPER_LINE = "upper_line"  # beside these parts, true: the run's strategy chooses by labels that nobody knows
COMBINATION = RunId._fields[:5]  # the parts that are the same within one figure and one comparison


def curve_name(strategy: str, *variant: str) -> str:
    """The strategy's name, then the words that tell its variants apart; empty words are left out."""
    return "-".join(filter(None, (strategy, *variant)))


def _short(value: object) -> str:
    """Any value, short enough for an error of one line."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
