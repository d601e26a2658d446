"""The look of figures, as a command's options choose it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from al_runner.analysis.stats.curves import Spread
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.metrics import BEST, ERROR, LOSS, Metric
from al_runner.errors import UsageError

LOWEST = "lowest {} so far{}\n(a running minimum)"
HIGHEST = "highest {} so far{}\n(a running maximum)"
LABELLED = "labelled images"
WIDTH = 6.3  # inches, a page's text
NARROW = 5.0  # inches: a narrower figure is for a column of a page, and has no room for two panels
UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}  # in inches; points are TeX's


@dataclass(frozen=True)
class Look:
    """How curves are drawn. Raises UsageError if two choices don't go together."""

    best: bool = False  # the best so far, labelled as a running minimum
    accuracy: bool = False
    metric: Metric = ERROR
    log: bool = False
    split: int | None = None  # label count at which the right panel begins; None: chosen, 0: one panel
    title: str = ""
    spread: Spread = field(default_factory=Spread)
    published: tuple[str, ...] | None = None  # papers whose results are overlaid; empty: all that have any
    names: Names = field(default_factory=Names)
    order: tuple[str, ...] = ()  # curves that come first, in this order
    width: float = WIDTH  # inches

    def __post_init__(self) -> None:
        if self.log and self.accuracy:
            raise UsageError("a logarithmic axis shows errors; leave out --accuracy or --log")
        if self.accuracy and not self.metric.accuracy:
            raise UsageError(f"--accuracy: 1 - {self.metric.words} is no accuracy; leave it out")
        if self.published is not None and self.metric != ERROR:
            raise UsageError("--published: the published numbers are test errors; leave out --metric or --published")

    @property
    def axis(self) -> str:
        """The y axis' label."""
        words, unit = self.metric.accuracy if self.accuracy else self.metric.axis, self.metric.unit
        if self.best:
            return (HIGHEST if self.accuracy else LOWEST).format(words, unit)
        return f"{words}{unit}"

    def within(self, names: Iterable[str]) -> "Look":
        """The same look for a figure of these curves alone: a curve of `order` that is not there has no place."""
        there = set(names)
        return replace(self, order=tuple(name for name in self.order if name in there))

    @property
    def column(self) -> str:
        """The column of `measured_by` that is drawn."""
        return BEST if self.best else LOSS


def in_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names of `order` first, then the others in their order. Raises UsageError if `order` has an unknown name."""
    there = list(names)
    missing = [name for name in order if name not in there]
    if missing:
        raise UsageError(f"--order: there is no curve {', '.join(missing)}; choose some of {', '.join(there)}")
    return [*order, *(name for name in there if name not in order)]


def inches(word: str) -> float:
    """A width such as 3.25in, 8.3cm, 83mm or 252pt, in inches. Raises UsageError if it is not in [1.5in, 20in]."""
    number, unit = word[:-2], word[-2:]
    try:
        width = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        width = 0.0
    if not 1.5 <= width <= 20:
        raise UsageError(f"--width is {word}; give one from 1.5in to 20in, such as 3.25in, 8.3cm or 252pt")
    return width
