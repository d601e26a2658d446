"""Kinds of values that options have, and the metadata that says what an option means.

An option is declared once, at the parameter that takes it: `query: Annotated[Count, Means("labels bought ...")]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MinLen

LARGEST = 10**9  # the largest count: more images, steps or rounds than any experiment has
LARGEST_SEED = 2**63 - 1  # the largest whole number that the files of a run may hold


@dataclass(frozen=True)
class Means:
    """What an option is for, in one sentence without a full stop."""

    text: str


@dataclass(frozen=True)
class Reads:
    """The description of a kind's values, if its type and range do not say it."""

    text: str


@dataclass(frozen=True)
class Takes:
    """The options, a TypedDict, of a target that is built here; for other people's code, which declares none."""

    options: type


T = TypeVar("T")

Count = Annotated[int, Ge(1), Le(LARGEST)]
CountOrZero = Annotated[int, Ge(0), Le(LARGEST)]
Seed = Annotated[int, Ge(0), Le(LARGEST_SEED)]
Few = Annotated[int, Ge(1), Le(10_000)]  # for large things that are in memory together, such as nets
Many = Annotated[int, Ge(1), Le(1_000_000)]  # for small things that are in one list, such as steps between two checks
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Lt(1)]
ShareOrAll = Annotated[float, Ge(0), Le(1)]
ProperShare = Annotated[float, Gt(0), Lt(1)]
Fraction = Annotated[float, Gt(0), Le(1)]
AtLeastOne = Annotated[Sequence[T], MinLen(1)]
