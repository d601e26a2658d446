"""Kinds of values that options have, and the metadata that says what an option means.

An option is declared once, beside the parameter it is given to: `query: Annotated[Count, Means("labels bought ...")]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MinLen

LARGEST = 10**9  # of a count: more images, steps or rounds than any experiment has


@dataclass(frozen=True)
class Means:
    """What an option is for, in one sentence without its full stop."""

    text: str


@dataclass(frozen=True)
class Reads:
    """How the values of a kind are described, where its type and range do not say it."""

    text: str


@dataclass(frozen=True)
class Takes:
    """The options of what is built for this one by `_target_`, a TypedDict: for code of others, which declares none."""

    options: type


T = TypeVar("T")

Count = Annotated[int, Ge(1), Le(LARGEST)]
CountOrZero = Annotated[int, Ge(0), Le(LARGEST)]
Few = Annotated[int, Ge(1), Le(10_000)]  # of what is all held at once, such as nets
Many = Annotated[int, Ge(1), Le(1_000_000)]  # of what is listed in memory, such as steps between two checks
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Lt(1)]
ShareOrAll = Annotated[float, Ge(0), Le(1)]
ProperShare = Annotated[float, Gt(0), Lt(1)]
AtLeastOne = Annotated[Sequence[T], MinLen(1)]
