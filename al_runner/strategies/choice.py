"""What a method chose, and what it can tell about it."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Choice(NamedTuple):
    """A query, and named numbers about it that belong beside the purchase in the record."""

    chosen: Tensor  # int64 [n]: positions, or ids
    facts: Mapping[str, float]
